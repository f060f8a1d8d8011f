from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.data import Schema
from unconfound.data.core.source import MemorySource
from unconfound.encoders import Morphed, Morpher, Normalized, build_encoder, load_encoder, save_encoder
from unconfound.evaluation.embed import embed

SCHEMA = Schema("images", (3, 16, 16), ("a", "b"))


def _pixels(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("reduction", [1, 2, 4])
@pytest.mark.parametrize("mask_channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (28, 28), (37, 50), (96, 110)])
def test_a_mask_has_the_size_of_its_image_and_starts_near_one(size, mask_channels, reduction):
    torch.manual_seed(0)
    morpher = Morpher(3, side=min(size), mask_channels=mask_channels, reduction=reduction)
    mask = morpher(torch.rand(2, 3, *size))
    assert mask.shape == (2, mask_channels, *size)
    assert 0.85 < mask.min() <= mask.mean() <= mask.max() < 0.97
    assert mask.mean().item() == pytest.approx(1 / (1 + torch.exp(torch.tensor(-2.5))).item(), abs=0.02)


@pytest.mark.parametrize(("lowest", "first"), [(0.0, 0.5), (0.3, 0.4), (0.3, None), (0.0, 0.02)])
def test_a_mask_starts_where_it_is_told_and_stays_above_the_lowest(lowest, first):
    torch.manual_seed(0)
    morpher = Morpher(3, side=32, lowest=lowest)
    if first is not None:
        morpher.start_at(first)
    images = torch.rand(4, 3, 32, 32)
    wanted = lowest + (1 - lowest) / (1 + torch.exp(torch.tensor(-2.5))).item() if first is None else first
    assert morpher(images).mean().item() == pytest.approx(wanted, abs=0.05)
    for bias, end in ((-100.0, lowest), (100.0, 1.0)):
        morpher.last.bias.data.fill_(bias)
        torch.testing.assert_close(morpher(images), torch.full((4, 1, 32, 32), end))


def test_a_first_mask_out_of_its_range_is_named():
    with pytest.raises(ValueError, match=r"the first mask must be in \(0.5, 1\), got 0.5"):
        Morpher(3, side=32, lowest=0.5).start_at(0.5)


def test_large_images_have_four_levels_and_the_weights_stay_few():
    count = {side: sum(p.numel() for p in Morpher(3, side=side).parameters()) for side in (32, 64, 96, 224)}
    assert count[32] == count[64] < 30_000
    assert count[96] == count[224] < 350_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_channels": 2}, "mask_channels must be 1 or the 3 channels of the images, got 2"),
        ({"reduction": 3}, "reduction must be 1, 2 or 4, got 3"),
        ({"lowest": 1.0}, r"lowest must be in \[0, 1\), got 1.0"),
        ({"side": 8, "reduction": 4}, "a morpher needs images of at least 16 pixels a side, got 8"),
    ],
)
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Morpher(3, **{"side": 32} | arguments)


def test_an_encoder_shows_its_network_the_morphed_image():
    encoder = build_encoder("convnet", SCHEMA, mean=torch.full((3,), 0.5), deviation=torch.full((3,), 0.2)).eval()
    images = _pixels(4, 3, 16, 16)
    plain = encoder(images)
    with pytest.raises(ValueError, match="this encoder's network is not morphed"):
        encoder.wrapper(Morphed)
    wrapper = encoder.wrap(Morphed, mask_channels=3)
    assert encoder.wrapper(Morphed) is wrapper
    morphed, mask = wrapper.morph(images)
    torch.testing.assert_close(morphed, images / 255 * mask)
    assert morphed.min() >= 0
    assert morphed.max() <= 1
    torch.testing.assert_close(encoder(images), encoder.wrapper(Normalized).network((morphed - 0.5) / 0.2))
    torch.testing.assert_close(encoder(images), encoder(images / 255))
    assert not torch.allclose(encoder(images), plain)
    # A mask of 1 is no morpher at all, bit for bit.
    wrapper.morpher.last.weight.data.zero_()
    wrapper.morpher.last.bias.data.fill_(100.0)
    assert torch.equal(encoder(images), plain)


def test_the_mask_receives_the_gradient_of_the_products_and_none_where_a_pixel_is_black():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    images[:, :, :, :5] = 0
    mask = torch.rand(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    morphed = images * mask
    morphed.retain_grad()
    nn.functional.conv2d(morphed, torch.rand(4, 3, 3, 3, dtype=torch.float64)).square().sum().backward()
    torch.testing.assert_close(mask.grad, (images * morphed.grad).sum(1, keepdim=True))
    assert (mask.grad[..., :5] == 0).all()
    assert (mask.grad[..., 5:] != 0).all()


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_saved_encoder_brings_its_morpher_along(tmp_path, reduction):
    encoder = build_encoder("convnet", SCHEMA, width=4, depth=2)
    encoder.wrap(Morphed, reduction=reduction, lowest=0.25)
    images = _pixels(8, 3, 16, 16)
    encoder(images)
    save_encoder(tmp_path, encoder, schema=SCHEMA)
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(images), encoder.eval()(images))
    source = MemorySource("some", SCHEMA, images)
    torch.testing.assert_close(embed(loaded, source).features, encoder(images))
    torch.testing.assert_close(torch.export.export(loaded, (images,)).module()(images), loaded(images))


def test_the_same_seed_gives_the_same_network_with_and_without_a_morpher():
    def encoder():
        torch.manual_seed(0)
        return build_encoder("convnet", SCHEMA)

    plain, morphed = encoder().network.state_dict(), encoder().wrap(Morphed).network.state_dict()
    assert all(torch.equal(plain[name], morphed[name]) for name in plain)


def test_rows_have_no_pixels_to_weight():
    with pytest.raises(ValueError, match="a morpher weights the pixels of images, this encoder takes tables"):
        build_encoder("mlp", Schema("tables", (5,), ("a", "b"))).wrap(Morphed)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_mask_is_in_full_precision(dtype):
    encoder = build_encoder("convnet", SCHEMA)
    wrapper = encoder.wrap(Morphed)
    with torch.autocast("cpu", dtype):
        morphed, mask = wrapper.morph(_pixels(4, 3, 16, 16))
        assert encoder(_pixels(4, 3, 16, 16)).isfinite().all()
    assert mask.dtype == morphed.dtype == torch.float32
