"""Training on exchanged backgrounds: what methods get, what is refused, and that a run goes on bit for bit."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
import torch

from training.toy import convnet, dataset_of, image_source, masked_source, options, row_source, same, weights
from training.toy_methods import Interrupted, TwoPhase, TwoPhaseOptions
from unconfound.methods import METHODS, SimCLR, Supervised
from unconfound.training import fit
from unconfound.training.exchange import check_exchange, on_exchanged_backgrounds

SOURCE = masked_source(48)
EXCHANGE = {"exchange": 0.8, "exchange_rim": 1, "exchange_soft_edge": 1.0}


def _method(kind, *, seed=0):
    return kind(convnet(SOURCE, seed=seed), SOURCE.schema)


def _batch():
    return next(iter(SOURCE.batches([torch.arange(16)])))


def _foregrounds(batch, images):
    return images.masked_fill(~batch.masks, 0)


def test_a_classifier_gets_foregrounds_on_other_backgrounds():
    batch = _batch()
    exchanged = on_exchanged_backgrounds(batch, options(exchange=1.0), _method(Supervised))
    images = batch.inputs / 255
    torch.testing.assert_close(_foregrounds(batch, exchanged.inputs), _foregrounds(batch, images))
    changed = (exchanged.inputs != images).flatten(1).any(1)
    assert changed.all()
    assert exchanged.second_inputs is None
    for name in ("index", "labels", "masks"):
        assert getattr(exchanged, name) is getattr(batch, name)


@pytest.mark.parametrize("views", ["both", "one"])
def test_two_views_get_backgrounds_of_their_own(views):
    batch, images = _batch(), _batch().inputs / 255
    exchanged = on_exchanged_backgrounds(batch, options(exchange=1.0, exchange_views=views), _method(SimCLR))
    second = exchanged.second_inputs
    torch.testing.assert_close(_foregrounds(batch, second), _foregrounds(batch, images))
    if views == "one":
        assert exchanged.inputs is batch.inputs
    else:
        torch.testing.assert_close(_foregrounds(batch, exchanged.inputs), _foregrounds(batch, images))
        assert (exchanged.inputs != images).flatten(1).any(1).all()
        # Two draws give an image the same background once in fifteen times.
        assert (exchanged.inputs != second).flatten(1).any(1).sum() > 8


def test_nothing_is_drawn_where_nothing_is_asked_for():
    batch, method = _batch(), _method(SimCLR)
    state = torch.random.get_rng_state()
    assert on_exchanged_backgrounds(batch, options(), method) is batch
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    "name", [name for name, kind in METHODS.items() if kind.compares_two_views and name != "scarf"]
)
def test_every_method_that_compares_two_views_takes_the_second_ones_from_the_second_inputs(name):
    torch.manual_seed(0)
    method = METHODS[name](convnet(SOURCE), SOURCE.schema)
    seen = []
    forward = method.encoder.network.forward
    method.encoder.network.forward = lambda images: seen.append(images) or forward(images)
    batch = replace(_batch(), inputs=torch.zeros(16, 3, 8, 8), second_inputs=torch.ones(16, 3, 8, 8))
    if hasattr(method, "two_views"):
        seen = [method.two_views(batch)]
    else:
        method(batch)
    for views in seen:
        assert len(views) == 32
        assert views[:16].mean() < 0.2
        assert views[16:].mean() > 0.5


@pytest.mark.parametrize("name", ["dacl", "gaussian"])
def test_those_that_noise_the_input_do_so_in_training_too(name):
    torch.manual_seed(0)
    method = METHODS[name](convnet(SOURCE), SOURCE.schema)
    assert method.compares_two_views
    seen = []
    method.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    method(replace(_batch(), inputs=torch.zeros(16, 3, 8, 8), second_inputs=torch.ones(16, 3, 8, 8)))
    assert seen[0][:16].mean() < 0.2
    assert seen[0][16:].mean() > 0.5


def test_phases_on_the_same_batch_see_the_same_images(tmp_path):
    method = TwoPhase(convnet(SOURCE), SOURCE.schema, TwoPhaseOptions(own_pass=False))
    seen, forward = [], method.forward

    def watched(batch, phase="train"):
        seen.append((phase, batch.inputs))
        return forward(batch, phase)

    method.forward = watched
    fit(method, dataset_of(SOURCE), out=tmp_path / "run", training=options(epochs=1, **EXCHANGE))
    assert [phase for phase, _ in seen] == ["learn", "gate"] * 3
    for (_, first), (_, second) in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(first, second)
    assert seen[0][1].is_floating_point()


def test_an_exchange_changes_what_is_learnt_and_is_recorded(tmp_path):
    for share in (0.0, 1.0):
        method = _method(Supervised)
        fit(method, dataset_of(SOURCE), out=tmp_path / f"{share}", training=options(exchange=share))
        config = tomllib.loads((tmp_path / f"{share}" / "config.toml").read_text())
        assert config["training"]["exchange"] == share
        plain = _method(Supervised)
        fit(plain, dataset_of(SOURCE), out=tmp_path / f"plain {share}", training=options())
        assert same(weights(method), weights(plain)) == (share == 0)


@pytest.mark.parametrize("kind", [Supervised, SimCLR])
def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(kind, tmp_path):
    training = options(**EXCHANGE, batch_size=8, accumulate=2)
    whole = Interrupted(_method(kind), at=-1)
    fit(whole, dataset_of(SOURCE), out=tmp_path / "whole", training=training)
    stopped = Interrupted(_method(kind), at=5)
    assert not fit(stopped, dataset_of(SOURCE), out=tmp_path / "run", training=training).finished
    method = Interrupted(_method(kind, seed=9), at=-1)
    assert fit(method, dataset_of(SOURCE), out=tmp_path / "run", training=training, resume=True).finished
    assert same(weights(method), weights(whole))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (row_source(), "rows holds tables without a nuisance: name columns with --nuisance"),
        (image_source(), "exchange 0.5 needs masks of the foregrounds, and toys has none: name their folder with --ma"),
    ],
)
def test_data_without_backgrounds_are_refused(source, message, tmp_path):
    check_exchange(options(), source)
    with pytest.raises(ValueError, match=message):
        check_exchange(options(exchange=0.5), source)
    with pytest.raises(ValueError, match="needs masks"):
        fit(_method(Supervised), dataset_of(image_source()), out=tmp_path / "run", training=options(exchange=1.0))
    assert not (tmp_path / "run").exists()


def test_a_batch_of_one_has_no_other_background():
    batch = next(iter(SOURCE.batches([torch.arange(1)])))
    with pytest.raises(ValueError, match="needs at least two images in a batch, got 1"):
        on_exchanged_backgrounds(batch, options(exchange=1.0), _method(Supervised))
