"""Training on rows with exchanged nuisances."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.toy import QUIET, dataset_of, options, row_source, same, text_source, weights
from training.toy_methods import Interrupted
from unconfound.data import MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.tables.nuisance_columns import NuisanceColumns
from unconfound.encoders import build_encoder
from unconfound.methods import SCARF, Supervised
from unconfound.training import TrainingOptions, fit
from unconfound.training.exchange import check_exchange, exchanged

NUISANCE = NuisanceColumns("the columns c and d", torch.tensor([False, False, True, True, False, False]))
SOURCE = replace(row_source(), nuisance=NUISANCE)


def _batch(source=SOURCE, size=32):
    return next(iter(source.batches([torch.arange(size)])))


def _method(kind, *, seed=0):
    torch.manual_seed(seed)
    return kind(build_encoder("mlp", SOURCE.schema, width=8, depth=1), SOURCE.schema).double()


def _givers(rows, source=SOURCE):
    """The rows whose nuisance these have."""
    return (rows[:, None, 2:4] == source.inputs[None, :, 2:4]).all(2).int().argmax(1)


def test_a_classifier_gets_nuisances_of_other_training_rows():
    batch = _batch()
    found = exchanged(batch, options(exchange=1.0), _method(Supervised), SOURCE)
    kept = ~NUISANCE.features
    assert found.inputs[:, kept].equal(batch.inputs[:, kept])
    givers = _givers(found.inputs)
    assert (givers != batch.index).all()
    # Not of this batch alone, and both columns of one row.
    assert (givers >= 32).sum() > 5
    assert found.inputs[:, 2:4].equal(SOURCE.inputs[givers, 2:4])
    assert found.second_inputs is None
    assert found.labels is batch.labels


def test_every_other_row_gives_equally_often():
    source = replace(row_source(5), nuisance=NUISANCE)
    batch, counts, method = _batch(source, 5), torch.zeros(5, 5), _method(Supervised)
    for _ in range(400):
        givers = _givers(exchanged(batch, options(exchange=1.0), method, source).inputs, source)
        counts[torch.arange(5), givers] += 1
    assert (counts.diagonal() == 0).all()
    expected = 100 * (1 - torch.eye(5))
    assert (counts - expected).abs().max() < 45


def test_a_share_of_the_rows_is_changed():
    source = replace(row_source(4000), nuisance=NUISANCE)
    batch = _batch(source, 4000)
    found = exchanged(batch, options(exchange=0.25), _method(Supervised), source)
    changed = (found.inputs != batch.inputs).any(1).double().mean()
    assert 0.22 < changed < 0.28


@pytest.mark.parametrize("views", ["both", "one"])
def test_two_views_get_nuisances_of_their_own(views):
    batch = _batch()
    found = exchanged(batch, options(exchange=1.0, exchange_views=views), _method(SCARF), SOURCE)
    assert (_givers(found.second_inputs) != batch.index).all()
    if views == "one":
        assert found.inputs is batch.inputs
    else:
        assert (_givers(found.inputs) != _givers(found.second_inputs)).sum() > 24


def test_positions_of_a_subset_are_its_own():
    part = Subset(SOURCE, torch.arange(40, 64))
    found = exchanged(_batch(part, 24), options(exchange=1.0), _method(Supervised), part)
    assert (_givers(found.inputs) >= 40).all()
    assert (_givers(found.inputs) != torch.arange(40, 64)).all()


@pytest.mark.parametrize("kind", [Supervised, SCARF])
def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(kind, tmp_path):
    training = options(exchange=0.8, batch_size=8)
    whole = Interrupted(_method(kind), at=-1)
    fit(whole, dataset_of(SOURCE), out=tmp_path / "whole", training=training)
    stopped = Interrupted(_method(kind), at=5)
    assert not fit(stopped, dataset_of(SOURCE), out=tmp_path / "run", training=training).finished
    method = Interrupted(_method(kind, seed=9), at=-1)
    assert fit(method, dataset_of(SOURCE), out=tmp_path / "run", training=training, resume=True).finished
    assert same(weights(method), weights(whole))


def test_a_classifier_no_longer_uses_a_nuisance_that_tells_the_class(tmp_path):
    """The nuisance tells every class, the other column three in four; exchanged, only the other one is of use."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    weak = torch.where(torch.rand(400, generator=generator) < 0.75, labels, 1 - labels)
    inputs = torch.stack([weak, labels], 1).float()
    nuisance = NuisanceColumns("the column b", torch.tensor([False, True]))
    source = MemorySource("toy", Schema("tables", (2,), ("no", "yes")), inputs, labels, nuisance=nuisance)
    reversed_rows = torch.stack([weak, 1 - labels], 1).float()
    right = {}
    for share in (0.0, 1.0):
        torch.manual_seed(0)
        encoder = build_encoder("mlp", source.schema, width=8, depth=2)
        fitted = fit(
            Supervised(encoder, source.schema),
            dataset_of(source),
            out=tmp_path / f"{share}",
            training=TrainingOptions(**QUIET, epochs=20, exchange=share, learning_rate=0.01, batch_size=50),
        )
        with torch.no_grad():
            answers = fitted.classifier(fitted.encoder(reversed_rows)).argmax(1)
        right[share] = (answers == labels).double().mean()
    assert right[0.0] < 0.3
    assert right[1.0] > 0.7


def test_what_cannot_be_exchanged():
    check_exchange(options(exchange=1.0), SOURCE)
    with pytest.raises(
        ValueError, match="exchange_rim and exchange_soft_edge are for masks of images, the data are ta"
    ):
        check_exchange(options(exchange=1.0, exchange_rim=1), SOURCE)
    with pytest.raises(ValueError, match="exchange 1 needs at least two samples, rows has one"):
        check_exchange(options(exchange=1.0), Subset(SOURCE, torch.tensor([0])))
    with pytest.raises(ValueError, match="texts holds text without a nuisance"):
        check_exchange(options(exchange=1.0), text_source())
