"""A step of CIM, morpher and triplet included, against a supervised one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.row import Row, median_seconds
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import Encoder, build_encoder
from unconfound.methods import CIM, Method, Supervised

DEVICE = choose_device("auto")
# A step of 256 takes a CPU half a minute; the ratio is the same.
BATCH = 256 if DEVICE == "cuda" else 32
SCHEMA = Schema("images", (3, 32, 32), tuple("abcdefghij"))


def run() -> list[Row]:
    ours, plain = median_seconds(_step(CIM(_encoder(), SCHEMA)), _step(Supervised(_encoder(), SCHEMA)), rounds=5)
    what = f"CIM, step of {BATCH} images of 32 px, ResNet-18, x supervised"
    return [Row(what, ours, plain, ours / plain, 1.5, "s", at_most=True)]


def _encoder() -> Encoder:
    return build_encoder("resnet18", SCHEMA)


def _step(method: Method) -> Callable[[], None]:
    method.to(DEVICE)
    images = torch.randint(0, 256, (BATCH, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
    index = torch.arange(BATCH, device=DEVICE)
    batch = Batch(images, index, index % 10)

    def step() -> None:
        method.zero_grad()
        method(batch).loss.backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step
