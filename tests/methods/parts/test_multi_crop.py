"""Small crops beside two views: how they are drawn, ordered, exchanged and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.data import Batch, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import DINO, ICLMSR, METHODS, LeJEPA, SwAV
from unconfound.methods.parts.multi_crop import MultiCropMethod, check_takes, crops_of
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.options.methods.multi_crop import SwAVOptions
from unconfound.options.views import ImageViewOptions
from unconfound.views import ImageViews

# Crops that are the images themselves.
WHOLE = ImageViewOptions(
    crop_scale=(1.0, 1.0),
    crop_ratio=(1.0, 1.0),
    flip_probability=0.0,
    jitter_probability=0.0,
    grayscale_probability=0.0,
)
NAMES = [name for name, kind in METHODS.items() if issubclass(kind, MultiCropMethod)]


def _even(*levels):
    return torch.cat([torch.full((4, 3, 8, 8), float(level)) for level in levels])


def _levels(crops):
    return [round(float(crop.mean()), 2) for crop in crops.split(4)]


def test_crops_come_from_the_inputs_of_the_batch():
    views, batch = ImageViews(5, WHOLE), Batch(_even(0.1), torch.arange(4))
    assert crops_of(batch, views, 3).shape == (12, 3, 5, 5)
    assert _levels(crops_of(batch, views, 3)) == [0.1, 0.1, 0.1]
    second = replace(batch, second_inputs=_even(0.2))
    assert _levels(crops_of(second, views, 3)) == [0.1, 0.2, 0.1]
    own = replace(second, local_inputs=_even(0.3, 0.4, 0.5))
    assert _levels(crops_of(own, views, 3)) == [0.3, 0.4, 0.5]


def test_the_two_views_are_the_same_with_crops_and_without():
    drawn = []
    for crops in (0, 3):
        method = SwAV(convnet(), IMAGES, SwAVOptions(local_crops=crops))
        torch.manual_seed(5)
        drawn.append(method.all_views(image_batch(4)))
    assert [len(views) for views in drawn] == [1, 2]
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert drawn[1][1].shape == (12, 3, 3, 3)


@pytest.mark.parametrize("name", NAMES)
def test_crops_of_one_size_go_through_the_encoder_in_one_pass(name):
    method = METHODS[name](convnet(), IMAGES, METHODS[name].Options(local_crops=5, local_size=4))
    seen = []
    method.encoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    method(image_batch(6))
    assert seen == [(12, 3, 8, 8), (30, 3, 4, 4)]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_crops_and_of_samples_plays_no_part(name):
    torch.manual_seed(0)
    method = METHODS[name](convnet(), IMAGES, METHODS[name].Options(local_crops=3, local_size=4)).double()
    views, local = (size.double() for size in method.all_views(image_batch(6)))
    order = torch.randperm(6)
    method.eval()
    losses = [
        method.compare(*given).loss
        for given in (
            (views, local),
            (views, local.unflatten(0, (3, 6))[[2, 0, 1]].flatten(0, 1)),
            tuple(size.unflatten(0, (-1, 6))[:, order].flatten(0, 1) for size in (views, local)),
        )
    ]
    if name == "dino":
        # Its centre has followed in between.
        method.centre.zero_()
        losses[0] = method.compare(views, local).loss
        method.centre.zero_()
        losses[1] = method.compare(views, local.unflatten(0, (3, 6))[[2, 0, 1]].flatten(0, 1)).loss
        losses = losses[:2]
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0])
    # And they do count.
    assert abs((method.compare(views).loss - losses[0]).item()) > 1e-9


def test_encoders_that_do_not_take_small_crops_are_refused():
    schema = Schema("images", (3, 16, 16), ("a", "b"))
    flat = build_encoder("convnet", schema, width=4, depth=2, pooling="flatten").train()
    with pytest.raises(
        ValueError, match=r"convnet does not take local crops of 7 x 7 pixels .it returns .* features in"
    ):
        DINO(flat, schema)
    assert all(module.training for module in flat.modules())
    # Without crops it is as good as any other.
    assert LeJEPA(flat, schema, LeJEPA.Options(local_crops=0)).local_crops == 0
    flat.eval()
    check_takes(flat, schema, 16)
    assert not any(module.training for module in flat.modules())


def test_an_encoder_s_own_words_are_passed_on(monkeypatch):
    encoder, forward = convnet(), convnet().network.forward

    def of_one_size(images):
        assert images.shape[-1] == 8, "Input height (3) doesn't match model (8)."
        return forward(images)

    monkeypatch.setattr(encoder.network, "forward", of_one_size)
    told = r"convnet does not take local crops of 3 x 3 pixels \(Input height \(3\) doesn't match model \(8\)"
    with pytest.raises(ValueError, match=f"{told}.*use another --local-size, --local-crops 0, or an encoder that"):
        LeJEPA(encoder, IMAGES)


@pytest.mark.parametrize("host", NAMES)
def test_icl_msr_takes_the_crops_of_its_host(host):
    torch.manual_seed(0)
    options = ICLMSROptions(host=host, host_options=("local_crops=2", "local_size=4"), strata=3, meta_batch="other")
    method = ICLMSR(convnet(), IMAGES, options)
    assert method.local_crops == 2
    seen = []
    method.encoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    method(image_batch(8)).loss.backward()
    assert seen[:2] == [(16, 3, 8, 8), (16, 3, 4, 4)]
    seen.clear()
    method(image_batch(8), "strata").loss.backward()
    assert set(seen) >= {(8, 3, 8, 8), (8, 3, 4, 4)}
    assert method.strata.logits.grad.any()
