"""Foregrounds alone: cut out, centred and coarse."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from unconfound.functional.inputs import unit_range
from unconfound.views.placement import PLACEMENT_NUMBERS, placed, random_placements


@torch.no_grad()
def cut_out(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    *,
    side: int,
) -> Float[Tensor, "batch opacity_and_channels {side} {side}"]:
    """Cut each foreground out, bring its centre of mass to the middle, and average it to a coarse picture.

    Args:
        images: uint8, or float in [0, 1].
        masks: 1 on the foreground. An empty one gives zeros.
        side: of the result, in pixels.

    Returns:
        In [0, 1]: how much of each pixel the foreground covers, then the channels of the image times that.
    """
    images = unit_range(images)
    opacity = masks.to(images.dtype)
    middle = images.new_full((len(images), PLACEMENT_NUMBERS), 0.5)
    maps = random_placements(middle, opacity, turn=0.0, scale=(1.0, 1.0), shear=0.0, shift=0.0)
    shown, opacity = placed(images, opacity, maps)
    return F.adaptive_avg_pool2d(torch.cat([opacity, shown], 1), side).clamp_(0, 1)
