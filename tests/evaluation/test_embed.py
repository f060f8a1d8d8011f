from __future__ import annotations

import pytest
import torch
from rich.progress import Progress
from torch import nn

from unconfound.data import MemorySource, Schema
from unconfound.data.graphs import GraphSource
from unconfound.data.sequences import SequenceSource
from unconfound.data.subset import Subset
from unconfound.encoders import build_encoder
from unconfound.evaluation import Embeddings, embed


def images(samples: int = 10, **given) -> MemorySource:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (samples, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return MemorySource("pictures", Schema("images", (3, 4, 4)), inputs, **given)


class Pooled(nn.Module):
    """Everything that evaluation could disturb: BatchNorm, dropout, a frozen part."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.frozen = nn.BatchNorm2d(3).eval()
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs):
        return self.dropout(self.frozen(self.norm(inputs.float() / 255))).mean(dim=(2, 3))


def test_embeddings_are_those_of_the_encoder_in_evaluation_mode_in_the_order_of_the_source() -> None:
    source, encoder = images(labels=torch.arange(10) % 3, groups=torch.arange(10) % 2), Pooled()
    embeddings = embed(encoder, source, batch_size=3)
    expected = encoder.eval()(source.inputs)
    torch.testing.assert_close(embeddings.features, expected.detach())
    assert embeddings.features.dtype == torch.float32
    assert embeddings.index.tolist() == list(range(10))
    assert torch.equal(embeddings.labels, source.labels)
    assert torch.equal(embeddings.groups, source.groups)
    assert embeddings.names is None


def test_encoder_is_left_as_it_was() -> None:
    encoder = Pooled().train()
    encoder.frozen.eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    embed(encoder, images())
    assert encoder.training
    assert encoder.norm.training
    assert encoder.dropout.training
    assert not encoder.frozen.training
    for name, value in encoder.state_dict().items():
        assert value.numpy().tobytes() == before[name].numpy().tobytes()


def test_encoder_gets_its_modes_back_after_an_error() -> None:
    encoder = nn.Sequential(Pooled(), nn.Linear(4, 4)).train()
    with pytest.raises(RuntimeError):
        embed(encoder, images())
    assert encoder.training
    assert encoder[0].norm.training


def test_graphs_are_embedded_as_one_by_one() -> None:
    sizes, edges = torch.tensor([3, 1, 2, 4]), torch.tensor([[0, 1, 0, 3, 1], [1, 2, 1, 0, 1]])
    nodes = torch.rand(10, 5, generator=torch.Generator().manual_seed(1))
    source = GraphSource(
        "toys", Schema("graphs", (5,)), nodes, edges, sizes=sizes, edge_counts=torch.tensor([2, 0, 1, 2])
    )
    encoder = build_encoder("gin", source.schema, width=8, depth=2)
    features = embed(encoder, source, batch_size=3).features
    single = torch.cat([embed(encoder, Subset(source, torch.tensor([graph]))).features for graph in range(4)])
    torch.testing.assert_close(features, single)
    half = embed(encoder, source, precision="bf16").features
    torch.testing.assert_close(half, features, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("modality", ["text", "series"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_sequences_come_back_in_their_order_though_sorted_to_cut_padding(modality: str, wrapped: bool) -> None:
    lengths = torch.tensor([2, 9, 1, 8, 3, 2, 7])
    generator = torch.Generator().manual_seed(2)
    total = int(lengths.sum())
    values = torch.randint(1, 30, (total,), generator=generator)
    if modality == "series":
        values = torch.randn(total, 3, generator=generator)
    schema = Schema(modality, (30 if modality == "text" else 3,))
    names = [f"sequence {number}" for number in range(7)]
    source = SequenceSource("toys", schema, values, lengths, labels=torch.arange(7), names=names)
    if wrapped:
        source = Subset(source, torch.tensor([6, 0, 1, 3, 2]))
    encoder = build_encoder("gru", schema, width=8, depth=1)
    widths = []
    encoder.register_forward_pre_hook(lambda _, inputs: widths.append(inputs[0].values.shape[1]))
    embeddings = embed(encoder, source, batch_size=3)
    assert widths == ([9, 2] if wrapped else [9, 3, 1])
    assert torch.equal(embeddings.labels, source.labels)
    assert embeddings.index.tolist() == list(range(len(source)))
    assert embeddings.names == source.names
    single = [embed(encoder, Subset(source, torch.tensor([place]))).features for place in range(len(source))]
    torch.testing.assert_close(embeddings.features, torch.cat(single))


def test_any_callable_is_an_encoder() -> None:
    embeddings = embed(lambda inputs: inputs.double().flatten(1), images(), batch_size=4)
    torch.testing.assert_close(embeddings.features, images().inputs.flatten(1).float())


def test_embeddings_take_part_in_autograd() -> None:
    features = embed(Pooled(), images()).features
    weight = torch.ones(3, requires_grad=True)
    (features @ weight).sum().backward()
    torch.testing.assert_close(weight.grad, features.sum(0))


@pytest.mark.parametrize("precision", ["bf16", "32"])
def test_precision_is_that_of_the_encoder_not_of_the_features(precision: str) -> None:
    seen = []

    def encoder(inputs):
        rows = inputs.flatten(1).float() @ torch.ones(48, 2)
        seen.append(rows.dtype)
        return rows

    assert embed(encoder, images(), precision=precision).features.dtype == torch.float32
    assert seen == [torch.bfloat16 if precision == "bf16" else torch.float32]


def test_progress_reaches_its_end() -> None:
    with Progress(disable=True) as progress:
        embed(Pooled(), images(), batch_size=4, progress=progress)
        assert progress.finished


def test_non_finite_embeddings_are_counted_and_the_first_is_named() -> None:
    source = images(names=[f"{i}.png" for i in range(10)])

    def encoder(inputs):
        rows = inputs.flatten(1).float()
        rows[inputs[:, 0, 0, 0] == source.inputs[4, 0, 0, 0], 1] = float("nan")
        return rows

    bad = int((source.inputs[:, 0, 0, 0] == source.inputs[4, 0, 0, 0]).sum())
    with pytest.raises(ValueError, match=rf"{bad} of 10 embeddings of pictures .* sample 4 \(4.png\)"):
        embed(encoder, source, batch_size=3)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gave \[10, 3, 4, 4\] for 10 samples.*pool or flatten"):
        embed(lambda inputs: inputs.float(), images())
    with pytest.raises(ValueError, match="gave tuple for 10 samples"):
        embed(lambda inputs: (inputs,), images())
    with pytest.raises(ValueError, match="batch size 0"):
        embed(Pooled(), images(), batch_size=0)
    with pytest.raises(ValueError, match="unknown precision '8': use one of auto, 32"):
        embed(Pooled(), images(), precision="8")
    with pytest.raises(ValueError, match="pictures holds no samples"):
        embed(Pooled(), images(0))


def test_labelled_keeps_the_samples_with_a_label() -> None:
    embeddings = Embeddings(
        features=torch.arange(8.0).reshape(4, 2),
        index=torch.arange(4),
        labels=torch.tensor([1, -1, 0, -1]),
        names=["a", "b", "c", "d"],
    )
    known, labels = embeddings.labelled()
    assert labels.tolist() == known.labels.tolist() == [1, 0]
    assert known.names == ["a", "c"]
    assert known.features.tolist() == [[0, 1], [4, 5]]
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        Embeddings(torch.zeros(2, 1), torch.arange(2), torch.tensor([-1, -1])).labelled()
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        Embeddings(torch.zeros(2, 1), torch.arange(2)).labelled()
