"""Images on the backgrounds of other images of the same source."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import MemorySource
from unconfound.views.backgrounds import exchange_backgrounds

# Images whose backgrounds are exchanged at a time.
AT_A_TIME = 1024


def with_exchanged_backgrounds(
    source: MemorySource, *, generator: torch.Generator
) -> tuple[MemorySource, Int[Tensor, " samples"]]:
    """Stand each foreground on the background of another image, drawn at random, and name these images.

    Every background is given exactly once. Where the giver's own foreground was, `exchange_backgrounds` says what is
    painted. An image without a foreground, or whose giver has no background, stays as it is and gives to itself.

    Args:
        source: images with masks; two or more.
        generator: of the order in which they exchange.

    Returns:
        The images in the order of the source and of its type, and the index of the image that gave the background.
    """
    assert source.masks is not None
    order = torch.randperm(len(source), generator=generator)
    inputs, givers = torch.empty_like(source.inputs), torch.empty_like(order)
    # Parts of nearly equal length: none holds a single image.
    for part in order.tensor_split(max(1, len(order) // AT_A_TIME)):
        masks, donors = source.masks[part], torch.arange(len(part)).roll(1)
        images = exchange_backgrounds(source.inputs[part], masks, donors=donors)
        inputs[part] = images if source.inputs.is_floating_point() else (255 * images).round().to(torch.uint8)
        stays = ~masks.flatten(1).any(1) | masks.flatten(1).all(1)[donors]
        givers[part] = torch.where(stays, part, part[donors])
    return replace(source, name=f"{source.name}, exchanged backgrounds", inputs=inputs, notes=()), givers
