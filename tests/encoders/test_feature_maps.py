from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders import Morphed, Projected, build_encoder
from unconfound.encoders.feature_maps import feature_map

SCHEMA = Schema("images", (3, 32, 32))


@pytest.fixture
def images():
    return torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("places", "blocks"), [(1, 4), (4, 4), (5, 3), (16, 2), (17, 1), (33, 1)])
def test_it_is_the_deepest_map_that_is_fine_enough_or_else_the_finest(images, places, blocks):
    torch.manual_seed(0)
    encoder = build_encoder("convnet", SCHEMA, width=4).eval()
    normalized = encoder.network
    expected = normalized.network.blocks[:blocks](normalized.normalize(images))
    found = feature_map(encoder, images, places=places)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(feature_map(encoder, images / 255.0, places=places), expected)
    assert not any(module._forward_hooks for module in encoder.modules())


def test_wrappers_play_no_part(images):
    encoder = build_encoder("convnet", SCHEMA, width=4).eval()
    expected = feature_map(encoder, images, places=16)
    encoder.wrap(Morphed, reduction=2)
    encoder.wrap(Projected, features=2)
    assert torch.equal(feature_map(encoder.eval(), images, places=16), expected)


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18", (2, 128, 16, 16)), ("resnet10t", (2, 64, 16, 16)), ("mobilenetv3_small_050", None)]
)
def test_networks_of_other_libraries_have_maps_too(images, name, shape):
    found = feature_map(build_encoder(name, SCHEMA).eval(), images, places=14)
    assert found.shape[2:] == (16, 16)
    assert shape is None or found.shape[0] == shape[0]


def test_networks_without_maps_are_refused(images):
    encoder = build_encoder("vit_tiny_patch16_224", SCHEMA).eval()
    with pytest.raises(
        ValueError, match=r"vit_tiny_patch16_224 computes no feature map .*, such as --encoder resnet18"
    ):
        feature_map(encoder, images, places=14)
    # As timm says of its Swin transformers.
    encoder = build_encoder("convnet", SCHEMA, width=4).eval()
    encoder.network.network.output_fmt = "NHWC"
    with pytest.raises(ValueError, match="convnet computes no feature map"):
        feature_map(encoder, images, places=14)
