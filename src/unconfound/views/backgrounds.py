"""Foregrounds on each other's backgrounds."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from unconfound.functional.distributed import gather, uniform, world
from unconfound.functional.inputs import unit_range
from unconfound.views.inpainting import inpaint
from unconfound.views.mask_edges import depths, random_edges, reach


@torch.no_grad()
def exchange_backgrounds(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    *,
    donors: Int[Tensor, " batch"] | None = None,
    share: float = 1.0,
    rim: int = 0,
    soft_edge: float = 0.0,
    fill: Literal["inpaint", "mean"] = "inpaint",
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Put each foreground on the background of another image of the batch.

    The background that an image gives is filled where its own foreground was. A mask that is a little too wide takes a
    rim of its own background along, by which the foreground can still be told; one that is too narrow leaves a rim of
    the foreground behind. With `rim`, the edge of each mask is therefore moved at random, and backgrounds are filled
    as far as the widest mask reaches.

    An image stays as it is if its mask is empty, as there is nothing to move, or if the mask of the image that would
    give the background covers all of it. Where the batch is spread over processes, backgrounds come from all of it, and
    with equal generators each process gets what one process would make of its images.

    Args:
        images: uint8, or float in [0, 1].
        masks: 1 on the foreground.
        donors: for each image, the position of the one that gives the background, in the batch of all processes; by
            default one random cycle through all images, so that none keeps its own and each gives once.
        share: probability that an image is changed, in [0, 1].
        rim: largest number of pixels by which a mask is widened or narrowed (see `random_edges`).
        soft_edge: largest half width of the band over which a foreground fades, in pixels.
        fill: fill a background from the surroundings of the hole, or in the mean colour of the rest.
        generator: where the randomness comes from; by default torch's global one of the images' device.

    Returns:
        Images in [0, 1].

    Raises:
        ValueError: fewer than two images over all processes, masks of another size, or a number out of its range.
    """
    check_exchangeable(images, masks)
    _check_numbers(share=share, rim=rim, soft_edge=soft_edge)
    images = unit_range(images)
    if donors is None:
        donors = random_cycle(len(images), device=images.device, generator=generator)
    shown, holes = masks.to(images.dtype), masks
    if far := reach(rim, soft_edge):
        deep = depths(masks, far)
        shown = random_edges(deep, rim=rim, soft_edge=soft_edge, generator=generator).to(images.dtype)
        holes = deep > -far
    stays = ~masks.flatten(1).any(1) | gather(holes.flatten(1).all(1).to(torch.uint8)).bool()[donors]
    if share < 1:
        drawn = uniform(len(images), generator=generator, device=images.device).to(images.device)
        stays = stays | (drawn >= share)
    shown = shown.masked_fill(stays.view(-1, 1, 1, 1), 1)
    filled = inpaint(images, holes) if fill == "inpaint" else _in_mean_colour(images, holes)
    return images * shown + gather(filled)[donors] * (1 - shown)


def random_cycle(
    batch: int, *, device: torch.device, generator: torch.Generator | None = None
) -> Int[Tensor, " {batch}"]:
    """Draw one cycle through the images of all processes; return the predecessors of this process's images."""
    rank, processes = world()
    where = device if generator is None else generator.device
    order = torch.randperm(processes * batch, generator=generator, device=where).to(device)
    before = torch.empty_like(order).scatter_(0, order, order.roll(1))
    return before[rank * batch : (rank + 1) * batch]


def _in_mean_colour(images: Tensor, holes: Tensor) -> Tensor:
    outside = (~holes).to(images.dtype)
    colour = (images * outside).sum((2, 3), keepdim=True) / outside.sum((2, 3), keepdim=True).clamp_min(1)
    return images * outside + colour * (1 - outside)


def check_exchangeable(images: Tensor, masks: Tensor) -> None:
    """Refuse images that have no other background to stand on, and masks that are not theirs.

    Raises:
        ValueError: there are fewer than two images over all processes, or masks are of another number or size.
    """
    if len(images) * world()[1] < 2:
        raise ValueError(f"exchanging backgrounds needs at least two images in a batch, got {len(images)}")
    if masks.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(
            f"masks have the shape {tuple(masks.shape)}, the images {tuple(images.shape)}: give one mask an image, of "
            "one channel and of the same height and width"
        )


def _check_numbers(*, share: float, rim: int, soft_edge: float) -> None:
    if not (0 <= share <= 1 and rim >= 0 and 0 <= soft_edge < math.inf):
        raise ValueError(
            f"share is {share}, rim {rim} and soft_edge {soft_edge}: share must be in [0, 1], the others at least 0"
        )
