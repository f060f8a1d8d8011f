"""Tiny data that the tests of methods share."""

from __future__ import annotations

import torch

from unconfound.data import Batch, MemorySource, Schema
from unconfound.encoders import build_encoder

IMAGES = Schema("images", (3, 8, 8), ("a", "b", "c"))
ROWS = Schema("tables", (5,), ("no", "yes"))


def image_batch(size=6, *, seed=0, labelled=True):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (size, 3, 8, 8), generator=generator).to(torch.uint8)
    return Batch(inputs, torch.arange(size), torch.arange(size) % 3 if labelled else None)


def row_batch(size=6, *, seed=0):
    inputs = torch.randn(size, 5, generator=torch.Generator().manual_seed(seed))
    return Batch(inputs, torch.arange(size), torch.arange(size) % 2)


def image_source(samples=64):
    return MemorySource("toys", IMAGES, image_batch(samples).inputs, torch.arange(samples) % 3)


def convnet(schema=IMAGES, *, seed=0):
    torch.manual_seed(seed)
    return build_encoder("convnet", schema, width=4, depth=2)


def mlp(*, seed=0):
    torch.manual_seed(seed)
    return build_encoder("mlp", ROWS, width=8, depth=2)
