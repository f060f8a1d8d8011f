"""Two SimCLR views of a batch of images, against lightly's transform of PIL images one by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, Step, timed
from benchmarks.row import LeftOut, Row
from unconfound.views import ImageViews


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    for size, count, target, rounds in ((32, scale.of(256, 4), 10, 9), (224, scale.of(32, 2), 1, 5)):
        generator = torch.Generator().manual_seed(0)
        # Images a little larger than large views, as they come from a folder; small ones are as large as their views.
        side = size if size < 64 else size * 8 // 7
        images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
        yield timed(
            f"two SimCLR views of {count} images at {size} x {size}, lightly's SimCLRTransform",
            partial(ImageViews(size), images, generator),
            partial(_peer, images, size),
            target=target,
            rounds=rounds,
            scale=scale,
            unit="ms",
        )


def _peer(images: Tensor, size: int) -> Step:
    from lightly.transforms import SimCLRTransform

    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    transform = SimCLRTransform(
        input_size=size,
        cj_prob=0.8,
        cj_strength=1.0,
        cj_bright=0.4,
        cj_contrast=0.4,
        cj_sat=0.4,
        cj_hue=0.1,
        min_scale=0.2,
        random_gray_scale=0.2,
        gaussian_blur=0.0,
        hf_prob=0.5,
        normalize=None,
    )

    def peer() -> Tensor:
        first, second = zip(*map(transform, pictures), strict=True)
        return torch.stack(first + second)

    return peer
