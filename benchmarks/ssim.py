"""CIM's triplet loss against two calls of a peer's MS-SSIM.

That of pytorch-msssim refuses sides up to 96 px even for a window of 7 and three scales: there it is torchmetrics'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, Step, held, timed
from benchmarks.row import LeftOut, Row
from unconfound.functional.ssim import perceptual_triplet


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    for count, side, rounds in ((scale.of(128, 4), 32, 15), (scale.of(16, 2), 224, 5)):
        peer = "pytorch-msssim" if side > 160 else "torchmetrics"
        name = f"Triplet of MS-SSIM, forward and backward, {count} of 3 x {side} x {side}"
        yield timed(
            f"{name}, against {peer}",
            our_step(count, side),
            partial(peer_step, count, side),
            target=4,
            rounds=rounds,
            scale=scale,
            unit="ms",
        )
        ours, theirs = (partial(_prepare, step, count, side) for step in (our_step, peer_step))
        yield held(f"{name}, peak memory over {peer}'s", ours, theirs, target=1 / 3, scale=scale)


def our_step(count: int, side: int) -> Step:
    images, morphed = _images(count, side)
    positions = torch.arange(count)
    positive, negative = positions.roll(1)[:, None], positions.roll(2)[:, None]
    return lambda: perceptual_triplet(morphed, images, positive, negative).loss.backward(inputs=[morphed])


def peer_step(count: int, side: int) -> Step:
    images, morphed = _images(count, side)
    similarity = _pytorch_msssim() if side > 160 else _torchmetrics()

    def step() -> None:
        loss = similarity(morphed, images.roll(2, 0)) - similarity(morphed, images.roll(1, 0))
        loss.backward(inputs=[morphed])

    return step


def _prepare(step: Callable[[int, int], Step], count: int, side: int) -> Step:
    step(2, side)()
    return step(count, side)


def _images(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Images that are alike enough for the peers' powers to have gradients."""
    generator = torch.Generator().manual_seed(0)
    images = 0.5 * torch.rand(1, 3, side, side, generator=generator) + 0.5 * torch.rand(
        count, 3, side, side, generator=generator
    )
    return images, (0.9 * images).requires_grad_()


def _pytorch_msssim() -> Callable[[Tensor, Tensor], Tensor]:
    from pytorch_msssim import MS_SSIM

    similarity: Callable[[Tensor, Tensor], Tensor] = MS_SSIM(data_range=1)
    return similarity


def _torchmetrics() -> Callable[[Tensor, Tensor], Tensor]:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    # The deviation alone sets its window, 11 pixels for our 1.5: 0.9 gives the 7 pixels that ours has.
    return partial(
        multiscale_structural_similarity_index_measure,
        sigma=0.9,
        kernel_size=7,
        data_range=1.0,
        betas=(0.0711, 0.4530, 0.4760),
        normalize="relu",
    )
