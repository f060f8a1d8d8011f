from __future__ import annotations

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import nn

from unconfound.data import MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.encoders import build_encoder
from unconfound.evaluation import Embeddings, embed, fit_probe, knn_predict
from unconfound.evaluation.adversarial import adversarial_share
from unconfound.evaluation.agreement import adjusted_rand, ranked_higher
from unconfound.evaluation.background import background_gap
from unconfound.evaluation.folds import stratified_folds
from unconfound.evaluation.group_figures import group_figures


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
    with pytest.raises(ValueError, match="does not take uint8"):
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
    with pytest.raises(ValueError, match=r"gave a tensor \[10, 3, 4, 4\] for 10 samples.*pool its maps"):
        embed(lambda inputs: inputs.float(), images())
    with pytest.raises(ValueError, match="gave a tuple of 1 for 10 samples"):
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


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int64])
def test_arrays_and_integers_of_any_width_are_taken(kind: type) -> None:
    features, labels = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 3
    features[:, 0] += 2 * labels
    narrow, index = labels.astype(kind), np.arange(40, dtype=kind)
    of_tensors = Embeddings(torch.tensor(features), torch.arange(40), torch.tensor(labels), torch.tensor(labels))
    of_arrays = Embeddings(features, index, narrow, torch.from_numpy(narrow))
    for field in ("features", "index", "labels", "groups"):
        assert torch.equal(getattr(of_arrays, field), getattr(of_tensors, field))
    guesses = fit_probe(of_arrays).predict(of_arrays)
    assert torch.equal(guesses, fit_probe(of_tensors).predict(of_tensors))
    assert torch.equal(knn_predict(of_arrays, of_arrays), knn_predict(of_tensors, of_tensors))
    given, answers = guesses.numpy().astype(kind), guesses
    names = ("a", "b", "c")
    assert group_figures(given, of_arrays, names=names, train_groups=narrow) == group_figures(
        answers, of_tensors, names=names, train_groups=torch.tensor(labels)
    )
    assert adjusted_rand(given, narrow) == adjusted_rand(answers, torch.tensor(labels))
    assert ranked_higher(features[:, 0], labels > 0) == ranked_higher(of_tensors.features[:, 0], of_tensors.labels > 0)
    assert torch.equal(stratified_folds(narrow, folds=4), stratified_folds(of_tensors.labels, folds=4))
    assert background_gap(of_arrays, of_arrays, same_predictions=given, rand_predictions=narrow) == background_gap(
        of_tensors, of_tensors, same_predictions=answers, rand_predictions=of_tensors.labels
    )
    assert adversarial_share(given[None], narrow, background_classes=narrow[:1]) == adversarial_share(
        answers[None], of_tensors.labels, background_classes=of_tensors.labels[:1]
    )


def test_embeddings_refuse_labels_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        Embeddings(np.zeros((2, 3)), np.arange(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"groups must be one a sample, got shape \(3,\) for 2 samples"):
        Embeddings(np.zeros((2, 3)), np.arange(2), groups=np.zeros(3, dtype=int))
