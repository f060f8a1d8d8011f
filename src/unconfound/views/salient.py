"""Views by what is salient in an image: its background replaced, or a crop around it."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from unconfound.functional.distributed import gather, uniform, world
from unconfound.functional.inputs import unit_range
from unconfound.views.geometry import plan_resampling, resample
from unconfound.views.inpainting import inpaint


@torch.no_grad()
def mix_backgrounds(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    saliency: Float[Tensor, "batch 1 height width"],
    *,
    share: float,
    threshold: float = 0.2,
) -> Float[Tensor, "batch channels height width"]:
    """Show the salient part of images before the background of other ones: saliency x image + (1 - saliency) x other.

    Mo et al., "Object-aware Contrastive Learning for Debiased Scene Representation" (NeurIPS 2021), section 2.2
    (background mixup). The authors' code fills the box around an object with copies of the largest stripe beside it; we
    fill the object itself from its surroundings (`inpaint`). Backgrounds come from all processes, in a random order.

    Args:
        images: uint8, or float in [0, 1].
        saliency: in [0, 1].
        share: probability that an image is changed.
        threshold: saliency from which on a pixel belongs to the object that is filled.

    Returns:
        Images in [0, 1]. An image stays as it is where all or nothing of it, or all of the one that would give the
        background, is salient.
    """
    images = unit_range(images)
    holes = saliency >= threshold
    rank, processes = world()
    order = torch.randperm(processes * len(images), device=images.device)
    donors = order[rank * len(images) : (rank + 1) * len(images)]
    full = holes.flatten(1).all(1)
    stays = full | gather(full.to(torch.uint8)).bool()[donors] | ~holes.flatten(1).any(1)
    stays = stays | (uniform(len(images), device=images.device) >= share)
    kept = saliency.to(images.dtype).masked_fill(stays.view(-1, 1, 1, 1), 1)
    return images * kept + gather(inpaint(images, holes))[donors] * (1 - kept)


def crop_to_salient(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    saliency: Float[Tensor, "batch 1 height width"],
    *,
    size: int,
    threshold: float = 0.5,
    margin: float = 0.2,
) -> Float[Tensor, "batch channels {size} {size}"]:
    """Cut out the box around what is salient, and bring it to a size; random crops of it then show the object.

    Mo et al. (NeurIPS 2021), section 2.2 (object-aware random crop), for images of one object: the box holds all pixels
    whose saliency is above a share of the highest one, and a margin around these.

    Args:
        images: uint8, or float in [0, 1].
        saliency: of their pixels. Where nothing is salient, the box is the whole image.
        size: side of the result in pixels.
        threshold: that share, in [0, 1).
        margin: on each side, as a share of the side of the box.
    """
    height, width = images.shape[2:]
    inside = (saliency > threshold * saliency.amax((2, 3), keepdim=True)).squeeze(1)
    top, tall = _stretch(inside.any(2), margin)
    left, wide = _stretch(inside.any(1), margin)
    return resample(
        images, plan_resampling(torch.stack([top, left, tall, wide], 1), height=height, width=width, size=size)
    )


def _stretch(inside: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the start and the length of the stretch of True in each row, with a margin; all of a row without one."""
    full = inside.shape[1]
    inside = inside | ~inside.any(1, keepdim=True)
    first = inside.to(torch.uint8).argmax(1)
    last = full - 1 - inside.flip(1).to(torch.uint8).argmax(1)
    wider = ((last - first + 1) * margin).round().long()
    start, end = (first - wider).clamp_min(0), (last + wider).clamp_max(full - 1)
    return start, end - start + 1
