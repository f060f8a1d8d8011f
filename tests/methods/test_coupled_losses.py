"""Methods whose loss couples the samples of a batch: what they learn, and their options."""

from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet
from unconfound.data import Batch
from unconfound.methods import METHODS

# Small heads; three sub-batches of four images or more in batches of twelve.
OPTIONS = {
    "barlow-twins": {"hidden_features": 6, "projection_features": 5},
    "vicreg": {"hidden_features": 6, "projection_features": 5},
    "w-mse": {"hidden_features": 6, "projection_features": 3, "sub_batch_size": 4, "iterations": 2, "shrinkage": 0.01},
    "large-margin": {"projection_features": 5},
}
each_method = pytest.mark.parametrize("name", OPTIONS)


def _method(name, **options):
    kind = METHODS[name]
    return kind(convnet(), IMAGES, kind.Options(**OPTIONS[name] | options))


@each_method
def test_it_learns_to_tell_colours_apart(name):
    method = _method(name, jitter=(0.2, 0.2, 0.2, 0.05), grayscale_probability=0.0)
    colours = torch.randint(0, 256, (24, 3, 1, 1), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    batch = Batch(colours.expand(-1, -1, 8, 8).contiguous(), torch.arange(24))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = method(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


WRONG = [
    *(
        (name, {option: 0}, f"{option} must be at least 1, got 0")
        for name in ("barlow-twins", "vicreg", "w-mse")
        for option in ("hidden_features", "projection_features", "projection_layers")
    ),
    ("barlow-twins", {"off_diagonal_weight": -1.0}, "off_diagonal_weight must be at least 0, got -1.0"),
    ("barlow-twins", {"off_diagonal_weight": float("nan")}, "off_diagonal_weight must be at least 0, got nan"),
    ("vicreg", {"invariance": -1.0}, "invariance must be at least 0, got -1.0"),
    ("vicreg", {"variance": float("nan")}, "variance must be at least 0, got nan"),
    ("vicreg", {"covariance": -0.5}, "covariance must be at least 0, got -0.5"),
    ("w-mse", {"sub_batch_size": 1}, "sub_batch_size must be at least 2, got 1"),
    ("w-mse", {"iterations": 0}, "iterations must be at least 1, got 0"),
    ("w-mse", {"shrinkage": 1.0}, "shrinkage must be .*, got 1.0"),
    ("w-mse", {"shrinkage": float("nan")}, "shrinkage must be .*, got nan"),
    (
        "w-mse",
        {"shrinkage": 0.0, "projection_features": 64, "sub_batch_size": 64},
        "without shrinkage sub_batch_size must be above projection_features, 64, got 64",
    ),
    ("large-margin", {"margin": -0.1}, "margin must be at least 0, got -0.1"),
    ("large-margin", {"margin": float("nan")}, "margin must be at least 0, got nan"),
    ("large-margin", {"temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ("large-margin", {"projection_features": 0}, "projection_features must be at least 1, got 0"),
]


@pytest.mark.parametrize(("name", "wrong", "message"), WRONG)
def test_options_out_of_range_are_refused_before_anything_is_learnt(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        METHODS[name].Options(**wrong)
