"""How many images a second masks are estimated of."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

import torch

from benchmarks.measure import WHOLE, Scale
from benchmarks.row import LeftOut, Row
from unconfound.data.images.mask_verdict import estimated


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    count = scale.of(512, 4)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=generator)
    estimated(images)
    seconds = []
    for _ in range(scale.of(7, 1)):
        started = perf_counter()
        estimated(images)
        seconds.append(perf_counter() - started)
    taken = median(seconds)
    yield Row(f"masks of {count} images at 64 x 64, images a second", taken, None, count / taken, 2000, "s")
