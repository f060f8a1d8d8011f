from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from training.toy import dataset_of, metrics, options, row_source, same, weights
from training.toy_methods import Interrupted
from two_processes import run

from methods.toy import MODALITIES, ROWS, image_source, mlp, rows_batch
from unconfound.data import Batch, MemorySource, Schema
from unconfound.data.tables.pixel_rows import as_rows
from unconfound.encoders import build_encoder
from unconfound.functional.distributed import world
from unconfound.methods import SCARF
from unconfound.methods.scarf import SCARFOptions
from unconfound.training import TrainingStopped, fit
from unconfound.training.batch_norm import synchronize_batch_norm

SOURCE = row_source(48)
SOURCE.schema = replace(SOURCE.schema, columns=(1, 2, 1, 2))


def test_the_loss_is_the_papers_up_to_its_constant():
    method = SCARF(mlp().double(), ROWS, SCARFOptions(temperature=0.7)).double()
    batch = Batch(rows_batch(7).inputs.double(), torch.arange(7))
    torch.manual_seed(11)
    step = method(batch)
    torch.manual_seed(11)
    embeddings = method.encoder(method.views(batch.inputs))
    clean, corrupted = method.head(embeddings).detach().numpy().reshape(2, 7, 256)
    # Algorithm 1: -log[exp(s_ii / t) / (1/N sum_k exp(s_ik / t))], i over clean rows, k over corrupted ones.
    loss = 0.0
    for i in range(7):
        scores = [
            float(clean[i] @ corrupted[k]) / math.sqrt(float(clean[i] @ clean[i]) * float(corrupted[k] @ corrupted[k]))
            for k in range(7)
        ]
        denominator = sum(math.exp(score / 0.7) for score in scores) / 7
        loss -= math.log(math.exp(scores[i] / 0.7) / denominator) / 7
    assert step.loss.item() == pytest.approx(loss + math.log(7), abs=1e-12)
    torch.testing.assert_close(step.embeddings, embeddings.detach().float())
    assert not step.embeddings.requires_grad


def test_encoder_and_head_are_learnt_in_one_phase():
    method = SCARF(mlp(), ROWS)
    (phase,) = method.phases()
    assert set(phase.parameters) == set(method.encoder.parameters()) | set(method.head.parameters())
    method(rows_batch(), phase.name).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())
    assert sum(bool(parameter.grad.abs().sum() > 0) for parameter in method.parameters()) > 4


def test_the_defaults_are_the_papers():
    given = SCARF(mlp(), ROWS).options
    assert (given.corruption_rate, given.temperature) == (0.6, 1.0)
    assert (given.projection_layers, given.projection_features) == (2, 256)


def test_the_encoder_sees_clean_rows_then_rows_with_columns_of_others():
    schema = Schema("tables", (5,), columns=(1, 3, 1))
    method = SCARF(build_encoder("mlp", schema, width=8, depth=2), schema, SCARFOptions(corruption_rate=0.7))
    rows = torch.cat([torch.rand(30, 1), torch.eye(3).repeat(10, 1), torch.rand(30, 1)], 1)
    seen = []
    method.encoder.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    method(Batch(rows, torch.arange(30)))
    clean, corrupted = seen[0].chunk(2)
    assert torch.equal(clean, rows)
    assert (corrupted[:, 1:4].sum(1) == 1).all()
    for feature in range(5):
        assert torch.isin(corrupted[:, feature], rows[:, feature]).all()
    # Two of the three columns are replaced.
    assert ((corrupted != rows)[:, [0, 4]].sum(1) >= 1).all()


def test_pixels_of_images_read_as_rows_are_scaled():
    source = as_rows(dataset_of(image_source(8))).train
    method = SCARF(build_encoder("mlp", source.schema, width=8, depth=2), source.schema)
    seen = []
    method.encoder.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    method(next(iter(source.batches([torch.arange(8)]))))
    assert 0.5 < seen[0].max() <= 1


@pytest.mark.parametrize("modality", [modality for modality in MODALITIES if modality != "tables"])
def test_anything_but_a_table_is_refused(modality):
    encoder, schema, _ = MODALITIES[modality]
    with pytest.raises(ValueError, match=f"scarf replaces columns of tables, the data are {modality}: use dacl"):
        SCARF(encoder(), schema)


def test_a_batch_of_one_is_refused_and_of_two_is_learnt_from():
    method = SCARF(mlp(), ROWS)
    with pytest.raises(ValueError, match="this batch holds one: use at least two"):
        method(rows_batch(1))
    step = method(rows_batch(2))
    assert step.loss.isfinite()
    step.loss.backward()


def test_what_was_replaced_comes_back_less_and_less(tmp_path):
    # Copies of one number: what is replaced can be told from what is not, so the loss falls far below chance.
    rows = torch.rand(128, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 6).contiguous()
    source = MemorySource("copies", Schema("tables", (6,)), rows)
    torch.manual_seed(0)
    given = SCARFOptions(corruption_rate=0.4, temperature=0.2)
    method = SCARF(build_encoder("mlp", source.schema, width=32, depth=2), source.schema, given)
    training = options(epochs=30, batch_size=64, learning_rate=0.01, log_every=2)
    fit(method, dataset_of(source), out=tmp_path / "run", training=training)
    losses = [float(row["loss"]) for row in metrics(tmp_path / "run")]
    assert losses[-1] < losses[0] - 0.5
    assert losses[-1] < math.log(64) - 1


def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(tmp_path):
    def run_to(out, *, at, seed=0, **arguments):
        torch.manual_seed(seed)
        schema = SOURCE.schema
        method = Interrupted(SCARF(build_encoder("mlp", schema, width=8, depth=2), schema).double(), at=at)
        fit(method, dataset_of(SOURCE), out=tmp_path / out, training=options(), **arguments)
        return method

    whole = run_to("whole", at=-1)
    with pytest.raises(TrainingStopped):
        run_to("run", at=3)
    resumed = run_to("run", at=-1, seed=9, resume=True)
    assert same(weights(resumed), weights(whole))


def _loss_and_gradients():
    rank, processes = world()
    torch.manual_seed(0)
    method = SCARF(build_encoder("mlp", SOURCE.schema, width=8, depth=2), SOURCE.schema).double()
    if processes > 1:
        synchronize_batch_norm(method, torch.device("cpu"))
    batch = next(iter(SOURCE.batches([torch.arange(12).chunk(processes)[rank]])))
    torch.manual_seed(5)
    step = method(batch)
    step.loss.backward()
    # DistributedDataParallel averages.
    return [step.loss.detach(), *(parameter.grad / processes for parameter in method.parameters())]


def test_two_processes_have_the_loss_and_gradients_of_one(tmp_path):
    two = run(_loss_and_gradients, tmp_path)
    loss, *gradients = _loss_and_gradients()
    for rank in two:
        torch.testing.assert_close(rank[0], loss, rtol=0, atol=1e-12)
    for parts, whole in zip(zip(*[rank[1:] for rank in two], strict=True), gradients, strict=True):
        torch.testing.assert_close(sum(parts), whole, rtol=0, atol=1e-12)


def test_a_rate_that_corrupts_no_column_is_refused():
    with pytest.raises(ValueError, match=r"corruption_rate 0.1 of 5 column\(s\), 5 .* none.* or at least 0.2"):
        SCARF(mlp(), ROWS, SCARFOptions(corruption_rate=0.1))
