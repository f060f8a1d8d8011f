"""Two SimCLR views of a batch of images, against lightly's transform of PIL images one by one."""

from __future__ import annotations

import torch
from lightly.transforms import SimCLRTransform
from PIL import Image

from benchmarks.row import Row, median_seconds
from unconfound.views import ImageViews


def run() -> list[Row]:
    return [_row(size=32, batch=256, target=10, rounds=9), _row(size=224, batch=32, target=1, rounds=5)]


def _row(*, size: int, batch: int, target: float, rounds: int) -> Row:
    generator = torch.Generator().manual_seed(0)
    # Images a little larger than large views, as they come from a folder; small ones are as large as their views.
    side = size if size < 64 else size * 8 // 7
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    views = ImageViews(size)
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

    def ours() -> torch.Tensor:
        return views(images, generator)

    def peer() -> torch.Tensor:
        first, second = zip(*map(transform, pictures), strict=True)
        return torch.stack(first + second)

    seconds, peer_seconds = median_seconds(ours, peer, rounds=rounds)
    return Row(
        what=f"two SimCLR views of {batch} images at {size} x {size}, lightly's SimCLRTransform",
        ours=1000 * seconds,
        peer=1000 * peer_seconds,
        ratio=peer_seconds / seconds,
        target=target,
        unit="ms",
    )


if __name__ == "__main__":
    for row in run():
        print(row)
