"""Foregrounds on each other's backgrounds, or on those of other photographs."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from unconfound.functional.distributed import uniform, world
from unconfound.functional.inputs import unit_range
from unconfound.views.layers import Layers, layers_of


def exchange_backgrounds(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    *,
    donors: Int[Tensor, " batch"] | None = None,
    share: float = 1.0,
    rim: int = 0,
    soft_edge: float = 0.0,
    backgrounds: UInt8[Tensor, "batch channels height width"]
    | Float[Tensor, "batch channels height width"]
    | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Put each foreground on the background of another image of the batch.

    The background that an image gives is filled where its own foreground was. A mask that is a little too wide takes a
    rim of its own background along, by which the foreground can still be told; one that is too narrow leaves a rim of
    the foreground behind. With `rim`, the edge of each mask is therefore moved at random, and backgrounds are filled
    as far as the widest mask reaches.

    An image stays as it is if its mask is empty, as there is nothing to move, or if the mask of the image that would
    give the background covers all of it. Where the batch is spread over processes, backgrounds come from all of it, and
    with equal generators each process gets what one process would make of its images. To exchange the backgrounds of
    one batch several times, call `layers_of` once and `exchanged` each time.

    Args:
        images: uint8, or float in [0, 1].
        masks: 1 on the foreground.
        donors: for each image, the position of the one that gives the background, in the batch of all processes; by
            default one random cycle through all images, so that none keeps its own and each gives once.
        share: probability that an image is changed, in [0, 1].
        rim: largest number of pixels by which the edge of a mask is moved (see `random_edges`).
        soft_edge: largest half width of the band over which a foreground fades, in pixels.
        backgrounds: one more for each image, such as a crop of a photograph (`CroppedPhotographs.draw`), uint8 or
            float in [0, 1]. Half of the images, drawn at random, stand on theirs.
        generator: where the randomness comes from; by default torch's global one of the images' device.

    Returns:
        Images in [0, 1].

    Raises:
        ValueError: fewer than two images over all processes, masks or backgrounds of another size, or a number out of
            its range.
    """
    layers = layers_of(images, masks, rim=rim, soft_edge=soft_edge)
    return exchanged(layers, donors=donors, share=share, backgrounds=backgrounds, generator=generator)


@torch.no_grad()
def exchanged(
    layers: Layers,
    *,
    donors: Int[Tensor, " batch"] | None = None,
    share: float = 1.0,
    backgrounds: UInt8[Tensor, "batch channels height width"]
    | Float[Tensor, "batch channels height width"]
    | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Put each foreground on another background, as `exchange_backgrounds` does, of images that are taken apart.

    Args:
        layers: of the images.
        donors, share, backgrounds, generator: as in `exchange_backgrounds`.

    Raises:
        ValueError: as in `exchange_backgrounds`.
    """
    images = layers.images
    _check(images, backgrounds, share=share)
    if donors is None:
        donors = random_cycle(len(images), device=images.device, generator=generator)
    shown = layers.shown(generator=generator)
    behind, nothing = layers.backgrounds[donors], layers.covered[donors]
    kept = torch.zeros_like(nothing)
    if share < 1:
        kept = uniform(len(images), generator=generator, device=images.device).to(images.device) >= share
    if backgrounds is not None:
        theirs = uniform(len(images), generator=generator, device=images.device).to(images.device) < 0.5
        behind = torch.where(theirs.view(-1, 1, 1, 1), unit_range(backgrounds).to(behind), behind)
        nothing = nothing & ~theirs
    stays = kept | nothing | ~layers.masks.flatten(1).any(1)
    shown = shown.masked_fill(stays.view(-1, 1, 1, 1), 1)
    return images * shown + behind * (1 - shown)


def random_cycle(
    batch: int, *, device: torch.device, generator: torch.Generator | None = None
) -> Int[Tensor, " {batch}"]:
    """Draw one cycle through the images of all processes; return the predecessors of this process's images."""
    rank, processes = world()
    where = device if generator is None else generator.device
    order = torch.randperm(processes * batch, generator=generator, device=where).to(device)
    before = torch.empty_like(order).scatter_(0, order, order.roll(1))
    return before[rank * batch : (rank + 1) * batch]


def check_others(images: Tensor) -> None:
    """Refuse images that have no other background to stand on: fewer than two over all processes.

    Raises:
        ValueError: so it is.
    """
    if len(images) * world()[1] < 2:
        raise ValueError(f"exchanging backgrounds needs at least two images in a batch, got {len(images)}")


def _check(images: Tensor, backgrounds: Tensor | None, *, share: float) -> None:
    check_others(images)
    if backgrounds is not None and backgrounds.shape != images.shape:
        raise ValueError(
            f"backgrounds have the shape {tuple(backgrounds.shape)}, the images {tuple(images.shape)}: give one "
            "background an image, of the same channels, height and width"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: it must be in [0, 1]")
