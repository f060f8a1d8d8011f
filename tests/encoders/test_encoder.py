from __future__ import annotations

import jaxtyping
import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders import build_encoder, describe, load_encoder, save_encoder


def _images(channels, side, *, width=None):
    return Schema("images", (channels, side, width or side), ("a", "b"))


def _random(schema, batch=2, *, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, *schema.shape), generator=generator).to(torch.uint8)
    return pixels if dtype == torch.uint8 else pixels.to(dtype) / 255


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(
    ("name", "side", "features"),
    [("convnet", 8, 256), ("convnet", 28, 256), ("resnet18", 32, 512), ("resnet18", 64, 512), ("resnet10t", 32, 512)],
)
def test_images_become_embeddings(name, side, features, channels):
    schema = _images(channels, side)
    encoder = build_encoder(name, schema)
    assert encoder.features == features
    embeddings = encoder(_random(schema))
    assert embeddings.shape == (2, features)
    assert embeddings.dtype == torch.float32
    assert embeddings.isfinite().all()


@pytest.mark.parametrize(
    ("name", "side", "features"),
    [
        ("resnet34", 32, 512),
        ("resnet50", 32, 2048),
        ("resnet18", 112, 512),
        ("vit_tiny_patch16_224", 224, 192),
        ("vit_tiny_patch16_224", 32, 192),
        ("mobilenetv3_small_050", 32, 1024),  # wider than its last feature maps
    ],
)
def test_larger_networks(name, side, features):
    schema = _images(3, side)
    encoder = build_encoder(name, schema).eval()
    assert encoder.features == features
    assert encoder(_random(schema)).shape == (2, features)


def test_rows_become_embeddings():
    schema = Schema("tables", (7,))
    encoder = build_encoder("mlp", schema, width=12, depth=2)
    assert encoder.features == 12
    assert encoder(torch.randn(4, 7)).shape == (4, 12)
    assert build_encoder("auto", schema).features == 256


def test_oblong_images_will_do():
    schema = _images(3, 16, width=24)
    assert build_encoder("convnet", schema)(_random(schema)).shape == (2, 256)


@pytest.mark.parametrize(
    ("width", "depth", "features"), [(4, 1, 4), (4, 2, 8), (6, 3, 24), (None, None, 256), (8, None, 64)]
)
def test_width_and_depth_of_a_convnet(width, depth, features):
    schema = _images(3, 8)
    encoder = build_encoder("convnet", schema, width=width, depth=depth)
    assert encoder.features == features
    assert encoder(_random(schema)).shape == (2, features)


@pytest.mark.parametrize("name", ["convnet", "resnet18"])
def test_uint8_equals_float(name):
    schema = _images(3, 16)
    encoder = build_encoder(name, schema, mean=torch.tensor([0.4, 0.5, 0.6]), deviation=torch.tensor([0.2, 0.3, 0.1]))
    encoder.eval()
    torch.testing.assert_close(
        encoder(_random(schema, dtype=torch.uint8)), encoder(_random(schema)), rtol=1e-5, atol=1e-6
    )


class Keep(torch.nn.Module):
    features = 1

    def forward(self, values):
        self.values = values
        return values.flatten(1).mean(1, keepdim=True)


def test_samples_are_normalised_by_channel():
    mean, deviation = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0])
    encoder = build_encoder("convnet", _images(3, 8), mean=mean, deviation=deviation)
    encoder.network.network = Keep()
    inputs = _random(_images(3, 8))
    encoder(inputs)
    for channel in range(3):
        expected = (inputs[:, channel] - mean[channel]) / deviation[channel]
        torch.testing.assert_close(encoder.network.network.values[:, channel], expected)
    assert encoder.network.network.values.is_contiguous(memory_format=torch.channels_last)

    rows = build_encoder("mlp", Schema("tables", (3,)), mean=mean, deviation=deviation)
    rows.network.network = Keep()
    values = torch.randn(4, 3)
    rows(values)
    torch.testing.assert_close(rows.network.network.values, (values - mean) / deviation)


def test_statistics_are_the_encoder_s_own():
    mean = torch.zeros(3)
    encoder = build_encoder("convnet", _images(3, 8), mean=mean)
    mean += 1
    assert encoder.network.mean.eq(0).all()
    assert set(encoder.state_dict()) >= {"network.mean", "network.deviation"}


@pytest.fixture
def unchecked_shapes():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_shapes")
def test_other_channels_and_columns_are_refused():
    with pytest.raises(ValueError, match="this encoder takes 3 channels, got samples of 1"):
        build_encoder("convnet", _images(3, 8))(_random(_images(1, 8)))
    with pytest.raises(ValueError, match="this encoder takes 4 columns, got samples of 5"):
        build_encoder("mlp", Schema("tables", (4,)))(torch.randn(2, 5))


@pytest.mark.parametrize(
    ("name", "modality", "arguments", "message"),
    [
        ("resnet81", "images", {}, r"unknown encoder 'resnet81': use convnet, .*; nearest: .*resnet18"),
        ("convnt", "images", {}, r"unknown encoder 'convnt': .*; nearest: convnet"),
        ("zzzzzz", "images", {}, "unknown encoder 'zzzzzz': use convnet, resnet18, resnet34, resnet50 or the name of"),
        ("mlp", "images", {}, "encoder 'mlp' does not take images: use convnet, "),
        ("resnet18", "tables", {}, "encoder 'resnet18' does not take tables: use mlp"),
        ("convnet", "images", {"pretrained": True}, "no published weights for 'convnet': start --from a run"),
        ("mlp", "tables", {"pretrained": True}, "no published weights for 'mlp'"),
        ("resnet18", "images", {"pretrained": True}, "pretrained resnet18 takes 3-channel images of more than 96 pix"),
        ("resnet18", "images", {"width": 4}, "are options of convnet, mlp, gin, transformer, gru, not"),
        ("convnet", "images", {"width": 0}, "width and depth of an encoder must be at least 1"),
        ("convnet", "images", {"depth": 5}, r"of this depth needs images of at least 16 pixels, got \(8, 8\)"),
        (
            "xcit_nano_12_p8_224",
            "images",
            {"side": 30},
            r"'xcit_nano_12_p8_224' does not take images of 30 x 30 pixels",
        ),
        ("vit_tiny_patch16_224", "images", {}, r"'vit_tiny_patch16_224' does not take images of 8 x 8 pixels"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, modality, arguments, message):
    arguments = dict(arguments)
    side = arguments.pop("side", 8)
    schema = Schema("tables", (4,)) if modality == "tables" else _images(3, side)
    with pytest.raises(ValueError, match=message) as raised:
        build_encoder(name, schema, **arguments)
    assert "\n" not in str(raised.value)


def test_pretrained_weights_need_three_channels():
    with pytest.raises(ValueError, match="got 1 channels with the imagenet stem"):
        build_encoder("resnet18", _images(1, 112), pretrained=True)


def test_the_description_says_the_stem():
    assert describe(build_encoder("convnet", _images(3, 8), width=4, depth=2)) == ("convnet, 420 weights, 8 features")
    description = describe(build_encoder("resnet18", _images(3, 32)))
    assert description.startswith("resnet18 with the cifar stem")
    assert "32 x 32" in description
    assert description.endswith("512 features")


def test_equal_seeds_give_equal_weights():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_encoder("convnet", _images(3, 8)).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(("size", "places"), [((32, 32), 16), ((28, 28), 16), ((9, 20), 6)])
def test_a_convnet_that_flattens_keeps_where_things_are(tmp_path, size, places):
    schema = Schema("images", (3, *size), ("a", "b"))
    encoder = build_encoder("convnet", schema, width=2, pooling="flatten").eval()
    assert encoder.features == 16 * places
    images = _random(schema)
    assert encoder(images).shape == (2, encoder.features)
    mean = build_encoder("convnet", schema, width=2).eval()
    mean.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(encoder(images).unflatten(1, (16, places)).mean(2), mean(images))
    save_encoder(tmp_path, encoder, schema=schema)
    assert torch.equal(load_encoder(tmp_path)(images), encoder(images))


def test_pooling_is_an_option_of_the_convnet_alone():
    with pytest.raises(ValueError, match="pooling flatten is none of 'resnet18': mean and"):
        build_encoder("resnet18", _images(3, 32), pooling="flatten")
    with pytest.raises(ValueError, match="pooling must be mean, flatten, token, got 'max'"):
        build_encoder("convnet", _images(3, 32), pooling="max")
