"""A step of CIM, morpher and triplet included, against a supervised one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from benchmarks.measure import WHOLE, Scale, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.methods import CIM, Method, Supervised

DEVICE = choose_device("auto")
SCHEMA = Schema("images", (3, 32, 32), tuple("abcdefghij"))


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    # A step of 256 takes a CPU half a minute; the ratio is the same.
    images, network = scale.of((256 if DEVICE == "cuda" else 32, "resnet18"), (4, "convnet"))
    yield timed(
        f"CIM, step of {images} images of 32 px, {network}, x supervised",
        _step(CIM(build_encoder(network, SCHEMA), SCHEMA), images),
        lambda: _step(Supervised(build_encoder(network, SCHEMA), SCHEMA), images),
        target=1.5,
        rounds=5,
        scale=scale,
        at_most=True,
    )


def _step(method: Method, count: int) -> Callable[[], None]:
    method.to(DEVICE)
    images = torch.randint(0, 256, (count, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
    index = torch.arange(count, device=DEVICE)
    batch = Batch(images, index, index % 10)

    def step() -> None:
        method.zero_grad()
        method(batch).loss.backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step
