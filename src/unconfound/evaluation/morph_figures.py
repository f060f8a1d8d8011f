"""How much of the foreground, and how much of the background, an encoder's morpher lets through."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.data import Source
from unconfound.devices import autocast, choose_device, choose_precision
from unconfound.encoders import Morphed, find_wrapper
from unconfound.encoders.apply import at_rest
from unconfound.evaluation import intervals
from unconfound.evaluation.figures import Figure


def mask_means(
    mask: Float[Tensor, "batch mask_channels height width"],
    foreground: Bool[Tensor, "batch 1 height width"] | Float[Tensor, "batch 1 height width"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Return the mean of each mask over the foreground of its image, and over the background.

    Channels count alike. A pixel that is partly foreground counts as such a part of one. NaN where an image has no
    foreground, or nothing else.
    """
    weights, values = foreground.double(), mask.double().mean(1, keepdim=True)

    def mean(over: Tensor) -> Tensor:
        return (values * over).sum((1, 2, 3)) / over.sum((1, 2, 3))

    return mean(weights), mean(1 - weights)


def morph_figures(
    encoder: Any,
    source: Source,
    *,
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    precision: str = "32",
) -> dict[str, Figure]:
    """Give `mask_foreground`, `mask_background` and `mask_difference`: means over images, with 95 % t intervals.

    The mask of an image is averaged over its foreground, and over its background; the difference is paired by image.
    Images without either count nowhere.

    Args:
        encoder: `Encoder`, or anything that embeds images.
        source: images with masks of their foregrounds.
        batch_size: images at a time.
        device: where the encoder runs, as `embed` has it.
        precision: as `embed` has it.

    Returns:
        Nothing where there is no morpher, or where no foreground is known.
    """
    morphed = find_wrapper(encoder, Morphed)
    if morphed is None or source.schema.modality != "images":
        return {}
    on, off = [], []
    device = choose_device(device)
    order = torch.arange(len(source)).split(batch_size)
    with at_rest(encoder, device), torch.inference_mode(), autocast(device, choose_precision(precision, device)):
        for batch in source.batches(order):
            if batch.masks is None:
                return {}
            assert isinstance(batch.inputs, Tensor)
            _, mask = morphed.morph(batch.inputs.to(device))
            inside, outside = mask_means(mask.float().cpu(), batch.masks)
            on.append(inside)
            off.append(outside)
    foreground, background = torch.cat(on), torch.cat(off)
    both = foreground.isfinite() & background.isfinite()
    if not bool(both.any()):
        return {}
    foreground, background = foreground[both], background[both]
    return {
        "mask_foreground": intervals.mean(foreground),
        "mask_background": intervals.mean(background),
        "mask_difference": intervals.mean_difference(foreground, background),
    }
