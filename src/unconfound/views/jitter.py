"""Colour jitter of a batch: four operations on every image, in an order of its own.

Brightness, contrast and saturation are cases of one formula (`colour.blend`), so images at different operations share a
pass. Hue is another formula, and dear: it runs once, in the middle, and each image has its other operations before or
after it as its order says, with passes that leave it alone in the places it does not use.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.views.colour import LUMINANCE, adjust_hue, blend

HUE = 3
JITTER_NUMBERS = 9


@dataclass(frozen=True)
class Jitter:
    """What happens to each image of a batch, in places from left to right.

    Args:
        scale, gray, average: what each image is blended by at each place.
        shift: of the hue, in turns; None where no hue is touched.
        middle: the place before which hues are turned.
        operations: how many places each image uses: those from `middle - hue_position` on.
    """

    scale: Float[Tensor, "places batch"]
    gray: Float[Tensor, "places batch"] | None
    average: Float[Tensor, "places batch"] | None
    shift: Float[Tensor, " batch"] | None
    middle: int
    operations: int


def allowed_operations(wanted: tuple[bool, ...], channels: int) -> tuple[int, ...]:
    """List the wanted operations that images of so many channels can undergo."""
    possible = len(wanted) if channels == len(LUMINANCE) else 2
    return tuple(operation for operation in range(possible) if wanted[operation])


def random_jitter(
    numbers: Float[Tensor, "batch 9"], *, strengths: tuple[float, float, float, float], probability: float
) -> tuple[Float[Tensor, "batch 4"], Float[Tensor, "batch 4"]]:
    """Turn uniform numbers into factors, and keys that sort each image's operations.

    Factors are uniform in [max(0, 1 - strength), 1 + strength], hues in [-strength, strength], as torchvision's
    `ColorJitter` draws them. They are neutral where an image is not jittered.
    """
    chosen, positions, keys = numbers.split([1, 4, 4], dim=1)
    factors = []
    for operation, strength in enumerate(strengths):
        neutral = 0.0 if operation == HUE else 1.0
        low = -strength if operation == HUE else max(0.0, 1 - strength)
        drawn = low + (neutral + strength - low) * positions[:, operation]
        factors.append(torch.where(chosen[:, 0] < probability, drawn, neutral))
    return torch.stack(factors, dim=1), keys


def hue_position(
    keys: Int[Tensor, "batch 4"] | Float[Tensor, "batch 4"], active: tuple[int, ...]
) -> Int[Tensor, " batch"]:
    """Count the operations before each image's hue; 0 where hues are not touched."""
    position = torch.zeros_like(keys[:, 0], dtype=torch.long)
    if HUE in active:
        for operation in active:
            position += keys[:, operation] < keys[:, HUE]
    return position


def plan_jitter(
    factors: Float[Tensor, "batch 4"],
    keys: Int[Tensor, "batch 4"] | Float[Tensor, "batch 4"],
    active: tuple[int, ...],
) -> Jitter:
    """Lay each image's operations out from left to right, those of the smallest keys first.

    Args:
        factors: of brightness, contrast and saturation, at least 0, where 1 changes nothing; and the shift of the hue
            in turns, in [-0.5, 0.5].
        keys: distinct numbers a row, one for each operation.
        active: the operations that are made, ascending; at least one.
    """
    blends = [operation for operation in active if operation != HUE]
    shift = factors[:, HUE] if HUE in active else None
    middle = 0 if shift is None else len(blends)
    first = middle - hue_position(keys, active)
    place = first + _columns(keys, blends).argsort(0).argsort(0)
    scale, gray, average = (
        torch.full((middle + len(blends), len(factors)), value, dtype=factors.dtype, device=factors.device)
        for value in (1.0, 0.0, 0.0)
    )
    chosen = _columns(factors, blends)
    scale.scatter_(0, place, chosen)
    for operation, weights in ((1, average), (2, gray)):
        if operation in blends:
            row = blends.index(operation)
            weights.scatter_(0, place[row : row + 1], 1 - chosen[row : row + 1])
    return Jitter(
        scale=scale,
        gray=gray if 2 in blends else None,
        average=average if 1 in blends else None,
        shift=shift,
        middle=middle,
        operations=len(blends),
    )


def _columns(table: Tensor, columns: list[int]) -> Tensor:
    """Pick columns one by one: a list as an index would be copied to the device, and waited for."""
    return torch.stack([table[:, column] for column in columns]) if columns else table[:, :0].T


def apply_jitter(
    images: Float[Tensor, "batch channels height width"],
    plan: Jitter,
    *,
    rows: slice = slice(None),
    position: int | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Carry a plan out.

    Agrees with torchvision's functions, applied one after the other to float tensors, within 1e-5.

    Args:
        images: float in [0, 1].
        plan: for these images, or for more.
        rows: which rows of the plan are these images'; all by default.
        position: the number of operations before the hue, where it is the same for all these images: then no pass is
            spent on places that they do not use.
    """
    first = 0 if position is None else plan.middle - position
    last = len(plan.scale) if position is None else first + plan.operations
    for place in range(first, last + 1):
        if place == plan.middle and plan.shift is not None:
            images = adjust_hue(images, plan.shift[rows])
        if place < last:
            images = blend(
                images,
                plan.scale[place, rows],
                gray=None if plan.gray is None else plan.gray[place, rows],
                average=None if plan.average is None else plan.average[place, rows],
            )
    return images
