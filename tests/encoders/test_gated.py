from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders import Attention, Gated, Projected, build_encoder, load_encoder, save_encoder

SCHEMA = Schema("images", (3, 16, 16), ("a", "b"))


def _naive(attention, maps, environment):
    """One image, one gate after the other, in plain loops over environments, as the released code reads."""
    weights = {name: weight[environment] for name, weight in attention.weights.items()}
    pooled = []
    for single in maps:
        _, height, width = single.shape
        seen = single.mean(0).flatten()
        spatial = torch.sigmoid(weights["spatial_out"] @ torch.relu(weights["spatial_in"] @ seen)).view(height, width)
        through = single * spatial
        mean = through.mean((1, 2))
        channel = torch.sigmoid(weights["channel_out"] @ torch.relu(weights["channel_in"] @ mean))
        pooled.append((through * channel[:, None, None]).mean((1, 2)))
    return torch.stack(pooled)


def test_gates_are_those_of_single_images_and_environments():
    torch.manual_seed(0)
    attention = Attention(6, 12, environments=3).double()
    maps = torch.randn(5, 6, 3, 4, dtype=torch.float64)
    pooled = attention(maps)
    spatial, channel = attention.gates(maps)
    assert spatial.shape == (3, 5, 1, 3, 4)
    assert channel.shape == (3, 5, 6, 1, 1)
    for environment in range(3):
        torch.testing.assert_close(pooled[environment], _naive(attention, maps, environment))
        gated = maps * spatial[environment] * channel[environment]
        torch.testing.assert_close(pooled[environment], gated.mean((2, 3)))


def test_the_mean_of_weights_is_not_the_mean_of_outputs():
    torch.manual_seed(0)
    attention = Attention(6, 12, environments=2).double()
    maps = torch.randn(5, 6, 3, 4, dtype=torch.float64)
    mean = attention(maps, attention.mean_weights()).squeeze(0)
    assert (mean - attention(maps).mean(0)).abs().max() > 1e-4
    single = Attention(6, 12, environments=1).double()
    torch.testing.assert_close(single(maps, single.mean_weights()), single(maps))


@pytest.mark.parametrize("name", ["convnet", "resnet18", "resnet18d"])
def test_an_encoder_with_gates_and_a_head_is_saved_and_loaded(name, tmp_path):
    torch.manual_seed(0)
    schema = Schema("images", (3, 64, 64), ("a", "b"))
    encoder = build_encoder(name, schema).eval()
    images = torch.rand(3, 3, 64, 64)
    plain = encoder(images)
    gated = encoder.wrap(Gated, environments=2)
    torch.testing.assert_close(gated.maps(images).mean((2, 3)), plain, rtol=1e-4, atol=1e-5)
    projection = encoder.wrap(Projected, features=7, batch_norm=True).projection
    encoder.eval()
    embeddings = encoder(images)
    assert embeddings.shape == (3, 7)
    assert encoder.features == 7
    torch.testing.assert_close(projection(gated.pool(gated.maps(images))), embeddings)
    save_encoder(tmp_path, encoder, schema=schema)
    torch.testing.assert_close(load_encoder(tmp_path)(images), embeddings)


def test_a_head_alone_works_for_rows():
    encoder = build_encoder("mlp", Schema("tables", (5,), ("a", "b")))
    encoder.wrap(Projected, features=3)
    assert encoder(torch.randn(4, 5)).shape == (4, 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: build_encoder("mlp", Schema("tables", (5,))).wrap(Gated, environments=2), "of an image, this"),
        (
            lambda: build_encoder("convnet", SCHEMA, pooling="flatten").wrap(Gated, environments=2),
            "--pooling flatten",
        ),
        (
            lambda: build_encoder("convnet", SCHEMA).wrap(Gated, environments=0),
            "environments must be at least 1, got 0",
        ),
        (
            lambda: build_encoder("convnet", SCHEMA).wrap(Projected, features=0),
            "features of the embedding must be at least 1",
        ),
        (
            lambda: build_encoder("vit_tiny_patch16_224", Schema("images", (3, 32, 32))).wrap(Gated, environments=2),
            "vit_tiny_patch16_224 has no feature map",
        ),
    ],
)
def test_a_mistake_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_adding_gates_leaves_batch_norm_alone():
    encoder = build_encoder("convnet", SCHEMA)
    before = {name: value.clone() for name, value in encoder.network.state_dict().items()}
    encoder.wrap(Gated, environments=2)
    assert encoder.training
    inner = encoder.network.network.state_dict()
    assert inner.keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(inner[name], value)


def test_a_map_with_the_features_last_is_refused():
    encoder = build_encoder("convnet", SCHEMA)
    encoder.network.network.output_fmt = "NHWC"
    with pytest.raises(ValueError, match="convnet has no feature map"):
        encoder.wrap(Gated, environments=2)
