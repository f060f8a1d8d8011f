from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from training.toy_methods import Interrupted
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
from methods.toy_training import learnt, train
from unconfound.data import Dataset, MemorySource
from unconfound.encoders import Projected, load_encoder
from unconfound.functional.distributed import world
from unconfound.functional.erasure import within_pair_whitening
from unconfound.methods import ForegroundAutoencoder
from unconfound.methods.foreground_autoencoder import ForegroundAutoencoderOptions
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.training.batch_norm import synchronize_batch_norm
from unconfound.views import cut_out

TRAINING = TrainingOptions(epochs=2, batch_size=8, learning_rate=0.01, device="cpu", precision="32")


def _batch(size=8):
    masks = torch.zeros(size, 1, 8, 8, dtype=torch.bool)
    for place in range(2):
        masks[place::2, :, 2 * place + 1 : 2 * place + 5, 1 + place : 4 + 2 * place] = True
    return replace(image_batch(size), masks=masks)


def _source(samples=24):
    batch = _batch(samples)
    return MemorySource("toys", IMAGES, batch.inputs, batch.labels, masks=batch.masks)


def _method(**options):
    encoder = convnet()
    torch.manual_seed(0)
    return ForegroundAutoencoder(encoder, IMAGES, ForegroundAutoencoderOptions(**{"side": 4} | options))


def test_the_loss_is_the_cross_entropy_of_what_a_linear_layer_draws_and_the_foreground_alone():
    method, batch = _method().eval(), _batch(5)
    torch.manual_seed(1)
    step = method(batch)
    torch.manual_seed(1)
    embeddings = method.encoder(method.views(batch.inputs, batch.masks, count=1))
    drawn = torch.sigmoid(embeddings.double() @ method.decoder.weight.double().T + method.decoder.bias.double())
    expected = 0.0
    pictures = cut_out(batch.inputs, batch.masks, side=4).flatten(1)
    assert pictures.shape == (5, 4 * 4 * 4)
    for picture, mine in zip(pictures.tolist(), drawn.tolist(), strict=True):
        for right, told in zip(picture, mine, strict=True):
            expected -= (right * math.log(told) + (1 - right) * math.log(1 - told)) / pictures.numel()
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(step.embeddings, embeddings)


def test_everything_is_learnt_and_training_lowers_the_loss():
    method = _method()
    method(_batch()).loss.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in learnt(method))
    losses = train(method, steps=25, batch=_batch())
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_labels_play_no_part():
    losses = []
    for labels in (_batch().labels, None):
        torch.manual_seed(1)
        losses.append(_method()(replace(_batch(), labels=labels)).loss.item())
    assert losses[0] == losses[1]


def test_in_the_end_whitened_directions_are_kept_in_which_views_agree(tmp_path):
    source, method = _source(), _method(directions=3)
    torch.manual_seed(3)
    versions = method._versions(source)
    assert versions.shape == (24, 4, 8)
    torch.manual_seed(3)
    network = copy.deepcopy(method.encoder)
    assert "kept the 3 of 8 whitened directions in which 4 views of each of 24 samples" in method.after_training(
        source, None
    )
    expected = within_pair_whitening(versions, directions=3).of(network.eval()(source.inputs))
    torch.testing.assert_close(method.encoder.eval()(source.inputs), expected, atol=1e-5, rtol=1e-4)

    # The run holds the layer, and a finished run that is resumed learns the same again.
    embeddings = []
    for resume in (False, True):
        fitted = fit(_method(directions=3), Dataset(source, {}), out=tmp_path / "run", training=TRAINING, resume=resume)
        assert fitted.encoder.features == 3
        assert len(fitted.encoder.wrapper(Projected).projection) == 1
        embeddings.append(fitted.encoder(source.inputs))
    assert torch.equal(*embeddings)
    assert "kept the 3 of 8" in (tmp_path / "run" / "log.txt").read_text()


def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(tmp_path):
    source = _source()
    for name, at in (("whole", -1), ("stopped", 4)):
        method = Interrupted(_method(directions=3), at=at)
        with nullcontext() if at < 0 else pytest.raises(TrainingStopped):
            fit(method, Dataset(source, {}), out=tmp_path / name, training=TRAINING)
    method = Interrupted(_method(directions=3), at=-1)
    resumed = fit(method, Dataset(source, {}), out=tmp_path / "stopped", training=TRAINING, resume=True)
    whole = load_encoder(tmp_path / "whole")
    assert torch.equal(resumed.encoder(source.inputs), whole(source.inputs))


def test_an_eighth_of_the_directions_is_kept_where_nothing_is_said():
    method = _method()
    assert method.after_training(_source(), None).startswith("kept the 1 of 8 whitened")


def test_all_directions_may_be_kept_as_they_are():
    method = _method(directions=0)
    assert method.after_training(_source(), None) is None
    assert method.encoder.features == 8


def test_an_encoder_that_collapsed_stays_as_it_is_and_says_so():
    method = _method(directions=2)
    for each in method.encoder.parameters():
        torch.nn.init.zeros_(each)
    assert "stay as they are: all embeddings are equal" in method.after_training(_source(), None)
    assert method.encoder.features == 8


def _share():
    """Take a step on this process's share of a batch, then choose directions: gradients, buffers and embeddings."""
    rank, processes = world()
    method, whole = _method(), _batch(12)
    if processes > 1:
        synchronize_batch_norm(method, torch.device("cpu"))
    own = replace(
        whole, inputs=whole.inputs.chunk(processes)[rank], masks=whole.masks.chunk(processes)[rank], labels=None
    )
    torch.manual_seed(4)
    method(own).loss.backward()
    gradients = torch.cat([each.grad.flatten() for each in learnt(method)])
    if processes > 1:
        torch.distributed.all_reduce(gradients)
    torch.manual_seed(5)
    return gradients / processes, method._versions(_source())


def test_two_processes_are_as_one(tmp_path):
    gradients, versions = _share()
    assert gradients.abs().max() > 1e-3
    for shared in run(_share, tmp_path):
        torch.testing.assert_close(shared[0], gradients, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(shared[1], versions, atol=1e-5, rtol=1e-4)


def test_what_is_refused():
    with pytest.raises(ValueError, match="foreground-autoencoder draws foregrounds of images, the data are tables"):
        ForegroundAutoencoder(mlp(), ROWS)
    with pytest.raises(ValueError, match="needs masks of the foregrounds, and these images have none"):
        _method()(image_batch())
    with pytest.raises(ValueError, match="exchanging backgrounds needs at least two images in a batch, got 1"):
        _method()(_batch(1))
