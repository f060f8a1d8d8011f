from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from unconfound.data import Schema
from unconfound.encoders import build_encoder
from unconfound.evaluation.encoder_call import rows_of

IMAGES = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.zeros(4, 5, 7)


class Floats(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return self.layer(images).mean((2, 3))


def channels_last(images):
    return Floats()(images.permute(0, 3, 1, 2) / 255)


def of_224(images):
    assert images.shape[-1] == 224, f"Input height ({images.shape[-1]}) doesn't match model (224)"
    return images.flatten(1)[:, :2] / 255


# What is wrong, and the function that the message says to give.
INPUTS = [
    (Floats(), lambda encoder: lambda images: encoder(images / 255), "encoder(images / 255)"),
    (
        channels_last,
        lambda encoder: lambda images: encoder(images.permute(0, 2, 3, 1)),
        "encoder(images.permute(0, 2, 3, 1))",
    ),
    (
        of_224,
        lambda encoder: lambda images: encoder(torch.nn.functional.interpolate(images / 255, (224, 224))),
        "encoder(torch.nn.functional.interpolate(images / 255, (224, 224)))",
    ),
    (
        lambda images: images.astype(np.float32).mean((2, 3)),
        lambda encoder: lambda images: torch.from_numpy(encoder(images.numpy())),
        "torch.from_numpy(encoder(images.numpy()))",
    ),
]
OUTPUTS = [
    (
        lambda _: np.zeros((4, 2)),
        lambda encoder: lambda images: torch.from_numpy(encoder(images)),
        "a numpy array [4, 2]",
    ),
    (lambda _: (TOKENS[:, 0], TOKENS), lambda encoder: lambda images: encoder(images)[0], "a tuple of 2"),
    (lambda _: TOKENS, lambda encoder: lambda images: encoder(images)[:, 0], "a tensor [4, 5, 7]"),
    (
        lambda _: torch.zeros(4, 2, 3, 3),
        lambda encoder: lambda images: encoder(images).mean((2, 3)),
        "a tensor [4, 2, 3, 3]",
    ),
    (
        lambda _: SimpleNamespace(pooler_output=TOKENS[:, 0], last_hidden_state=TOKENS),
        lambda encoder: lambda images: encoder(images).pooler_output,
        "encoder(images).pooler_output",
    ),
    (
        lambda _: SimpleNamespace(pooler_output=None, last_hidden_state=TOKENS),
        lambda encoder: lambda images: encoder(images).last_hidden_state[:, 0],
        "encoder(images).last_hidden_state[:, 0]",
    ),
    (
        lambda _: {"x_norm_clstoken": TOKENS[:, 0]},
        lambda encoder: lambda images: encoder(images)["x_norm_clstoken"],
        "encoder(images)['x_norm_clstoken']",
    ),
    (
        lambda _: {"last_hidden_state": TOKENS},
        lambda encoder: lambda images: encoder(images)["last_hidden_state"][:, 0],
        "encoder(images)['last_hidden_state'][:, 0]",
    ),
]


@pytest.mark.parametrize(("encoder", "wrapped", "said"), [*INPUTS, *OUTPUTS])
def test_a_message_says_what_to_wrap_and_that_works(encoder, wrapped, said):
    with pytest.raises(ValueError, match="the encoder ") as raised:
        rows_of(encoder, IMAGES)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert rows_of(wrapped(encoder), IMAGES).shape[0] == 4


def test_what_an_encoder_of_ours_raises_is_raised_as_it_is():
    encoder = build_encoder("convnet", Schema("images", (1, 16, 16)), width=2, depth=1)
    with pytest.raises(ValueError, match=r"^this encoder takes 1 channels"):
        rows_of(encoder, IMAGES)


def test_no_memory_is_no_wrong_input():
    def full(_):
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        rows_of(full, IMAGES)
