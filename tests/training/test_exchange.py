"""Training on exchanged backgrounds: what methods get, what is refused, and that a run goes on bit for bit."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
import torch
from PIL import Image

from training.toy import convnet, dataset_of, image_source, masked_source, options, row_source, same, weights
from training.toy_methods import Interrupted, TwoPhase, TwoPhaseOptions
from unconfound.methods import DINO, ICLMSR, METHODS, LeJEPA, SimCLR, Supervised, SwAV
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.options.methods.multi_crop import SwAVOptions
from unconfound.training import TrainingStopped, fit
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


@pytest.mark.parametrize("views", ["both", "one"])
def test_small_crops_get_backgrounds_of_their_own(views):
    batch, training, exchanged = _batch(), options(exchange=1.0, exchange_views=views), []
    for crops in (0, 3):
        method = SwAV(convnet(SOURCE), SOURCE.schema, SwAVOptions(local_crops=crops))
        torch.manual_seed(4)
        exchanged.append(on_exchanged_backgrounds(batch, training, method))
    plain, cropped = exchanged
    assert plain.local_inputs is None
    assert torch.equal(plain.inputs, cropped.inputs)
    assert torch.equal(plain.second_inputs, cropped.second_inputs)
    pictures = [cropped.second_inputs, *cropped.local_inputs.chunk(3)]
    for picture in pictures:
        torch.testing.assert_close(_foregrounds(batch, picture), _foregrounds(batch, batch.inputs / 255))
    for first in range(4):
        for second in range(first):
            assert (pictures[first] != pictures[second]).flatten(1).any(1).sum() > 8


def test_a_host_s_crops_get_them_too():
    host = ICLMSR(convnet(SOURCE), SOURCE.schema, ICLMSROptions(host="lejepa", host_options=("local_crops=2",)))
    exchanged = on_exchanged_backgrounds(_batch(), options(exchange=1.0), host)
    assert exchanged.local_inputs.shape == (32, 3, 8, 8)
    assert host(exchanged).loss.isfinite()


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


@pytest.mark.parametrize("kind", [Supervised, SimCLR, DINO, LeJEPA])
def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(kind, tmp_path):
    training = options(**EXCHANGE, batch_size=8, accumulate=2)
    whole = Interrupted(_method(kind), at=-1)
    fit(whole, dataset_of(SOURCE), out=tmp_path / "whole", training=training)
    stopped = Interrupted(_method(kind), at=5)
    with pytest.raises(TrainingStopped):
        fit(stopped, dataset_of(SOURCE), out=tmp_path / "run", training=training)
    method = Interrupted(_method(kind, seed=9), at=-1)
    fit(method, dataset_of(SOURCE), out=tmp_path / "run", training=training, resume=True)
    assert same(weights(method), weights(whole))


@pytest.fixture
def photographs(tmp_path):
    for number in range(3):
        path = tmp_path / "photographs" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 20), (255, 100 * number, 0)).save(path)
    return tmp_path / "photographs"


@pytest.mark.parametrize("kind", [Supervised, SimCLR])
def test_a_folder_gives_further_backgrounds(kind, photographs):
    batch, training = _batch(), options(exchange=1.0, background_folder=photographs)
    assert check_exchange(training, SOURCE) == [f"backgrounds come from 3 photographs in {photographs}"]
    exchanged = on_exchanged_backgrounds(batch, training, _method(kind))
    for images in (exchanged.inputs, *([] if kind is Supervised else [exchanged.second_inputs])):
        torch.testing.assert_close(_foregrounds(batch, images), _foregrounds(batch, batch.inputs / 255))
        # Noise is never as red.
        assert 1 < (images[:, 0, 0, 0] == 1).sum() < 15


def test_a_run_with_a_folder_of_backgrounds_goes_on_bit_for_bit(photographs, tmp_path):
    training = options(**EXCHANGE, background_folder=photographs)
    whole = Interrupted(_method(Supervised), at=-1)
    fit(whole, dataset_of(SOURCE), out=tmp_path / "whole", training=training)
    log = (tmp_path / "whole" / "log.txt").read_text()
    assert f"backgrounds come from 3 photographs in {photographs}" in log
    stopped = Interrupted(_method(Supervised), at=2)
    with pytest.raises(TrainingStopped):
        fit(stopped, dataset_of(SOURCE), out=tmp_path / "run", training=training)
    method = Interrupted(_method(Supervised, seed=9), at=-1)
    fit(method, dataset_of(SOURCE), out=tmp_path / "run", training=training, resume=True)
    assert same(weights(method), weights(whole))


def test_a_folder_of_backgrounds_is_read_anew_for_each_training(photographs):
    training = options(exchange=1.0, background_folder=photographs)
    check_exchange(training, SOURCE)
    (photographs / "0.png").unlink()
    assert check_exchange(training, SOURCE) == [f"backgrounds come from 2 photographs in {photographs}"]


def test_folders_of_backgrounds_that_cannot_be_used_are_refused_before_anything_is_written(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for changes, error, message in (
        ({"exchange": 1.0, "background_folder": empty}, ValueError, "no photograph in .*empty: expected"),
        ({"exchange": 1.0, "background_folder": tmp_path / "no"}, FileNotFoundError, "no folder of photographs at"),
        ({"background_folder": empty}, ValueError, "gives backgrounds to an exchange, and there is none: give --exc"),
    ):
        with pytest.raises(error, match=message):
            fit(_method(Supervised), dataset_of(SOURCE), out=tmp_path / "run", training=options(**changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (row_source(), "rows holds tables without a nuisance: name columns with --nuisance"),
        (image_source(), "exchange 0.5 needs masks of the foregrounds, and toys has none: name their folder with --ma"),
    ],
)
def test_data_without_backgrounds_are_refused(source, message, tmp_path):
    assert check_exchange(options(), source) == []
    assert check_exchange(options(exchange=1.0), SOURCE) == []
    with pytest.raises(ValueError, match=message):
        check_exchange(options(exchange=0.5), source)
    with pytest.raises(ValueError, match="needs masks"):
        fit(_method(Supervised), dataset_of(image_source()), out=tmp_path / "run", training=options(exchange=1.0))
    assert not (tmp_path / "run").exists()


def test_masks_that_are_empty_or_cover_all_are_told_or_refused(tmp_path):
    masks = SOURCE.masks.clone()
    masks[:3], masks[3:5] = False, True
    told = ["of 48 masks of toys, 3 are empty and 2 cover all: these images keep their backgrounds"]
    assert check_exchange(options(exchange=1.0), replace(SOURCE, masks=masks)) == told
    masks[5:] = True
    with pytest.raises(ValueError, match="3 are empty and 45 cover all: none has a background to exchange; look at"):
        fit(
            _method(Supervised),
            dataset_of(replace(SOURCE, masks=masks)),
            out=tmp_path / "run",
            training=options(exchange=1.0),
        )
    assert not (tmp_path / "run").exists()


def test_training_goes_on_without_an_exchange_where_estimates_are_useless(tmp_path):
    note = "estimated masks are useless here: why; the data stay without masks"
    bare, masked = (replace(dataset_of(source), mask_note=note) for source in (image_source(48), SOURCE))
    fit(_method(Supervised), bare, out=tmp_path / "run", training=options(**EXCHANGE))
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"no backgrounds are exchanged (exchange 0.8 is left out): {note}" in log
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["training"]["exchange"] == 0
    # Masks of the data's own serve, whatever was said of estimates.
    fit(_method(Supervised), masked, out=tmp_path / "masked", training=options(**EXCHANGE))
    assert "no backgrounds are exchanged" not in (tmp_path / "masked" / "log.txt").read_text()


def test_a_batch_of_one_has_no_other_background():
    batch = next(iter(SOURCE.batches([torch.arange(1)])))
    with pytest.raises(ValueError, match="needs at least two images in a batch, got 1"):
        on_exchanged_backgrounds(batch, options(exchange=1.0), _method(Supervised))
