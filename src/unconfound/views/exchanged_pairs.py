"""Two images that exchange their backgrounds: what CIM compares a morphed image with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.functional.distributed import gather
from unconfound.views.inpainting import inpaint


class ExchangedPairs(NamedTuple):
    """What becomes of an image and each of its partners when they exchange backgrounds.

    Args:
        own: the image's foreground on the partner's background.
        other: the partner's foreground on the image's background.
    """

    own: Float[Tensor, "batch partners channels height width"]
    other: Float[Tensor, "batch partners channels height width"]


@torch.no_grad()
def exchanged_pairs(
    images: Float[Tensor, "batch channels height width"],
    masks: Bool[Tensor, "batch 1 height width"],
    partners: Int[Tensor, "batch partners"],
) -> ExchangedPairs:
    """Let each image exchange its background with each of its partners.

    Backgrounds are filled where their own foreground was (see `inpaint`). Where the batch is spread over processes,
    partners come from all of it.

    Args:
        images: in [0, 1].
        masks: True on the foreground; see `neither_empty_nor_full` for masks that leave nothing to exchange.
        partners: positions in the batch of all processes; -1 stands for none, and its pictures mean nothing.
    """
    filled, shown = inpaint(images, masks), masks.to(images.dtype)
    chosen = partners.clamp_min(0)
    foregrounds, backgrounds, covers = (gather(each)[chosen] for each in (images, filled, shown))
    own = images[:, None] * shown[:, None] + backgrounds * (1 - shown[:, None])
    return ExchangedPairs(own, foregrounds * covers + filled[:, None] * (1 - covers))


def neither_empty_nor_full(masks: Bool[Tensor, "batch 1 height width"]) -> Bool[Tensor, " batch"]:
    """Say which images have both a foreground and a background, by their masks."""
    flat = masks.flatten(1)
    return flat.any(1) & ~flat.all(1)
