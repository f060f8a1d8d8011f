"""Foregrounds brought to another place: turned, enlarged, sheared and moved, with how much of each pixel they cover."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Uniform numbers a placement: turn, size, shear, and place across and down.
PLACEMENT_NUMBERS = 5


def random_placements(
    numbers: Float[Tensor, "batch 5"],
    opacity: Float[Tensor, "batch 1 height width"],
    *,
    turn: float,
    scale: tuple[float, float],
    shear: float,
    shift: float,
) -> Float[Tensor, "batch 2 3"]:
    """Turn uniform numbers into maps from the pixels of a view to those of the image, as `affine_grid` takes them.

    Each foreground is turned about its centre of mass, scaled and sheared, and its centre comes to a place near the
    middle of the view. All numbers are uniform within their range, the logarithm of the scale among them.

    Args:
        numbers: independent, in [0, 1).
        opacity: of the foregrounds, in [0, 1]. One of nothing but zeros is taken to be centred.
        turn: largest angle in degrees, to either side.
        scale: lowest and highest factor of the foreground's side, above 0.
        shear: largest shift of a row, to either side, as a share of its distance from the centre.
        shift: largest distance of a foreground's centre from the view's, across and down, in half sides of the view.
    """
    signed = 2 * numbers - 1
    angle = signed[:, 0] * math.radians(turn)
    low, high = (math.log(bound) for bound in scale)
    size = (low + (high - low) * numbers[:, 1]).exp()
    height, width = opacity.shape[2:]
    # `affine_grid` measures in half sides: a turn must not squeeze what is not square.
    aspect = height / width
    cosine, sine, slant = angle.cos() / size, angle.sin() / size, signed[:, 2] * shear
    rows = torch.stack(
        [
            torch.stack([cosine, (cosine * slant - sine) * aspect], 1),
            torch.stack([sine / aspect, sine * slant + cosine], 1),
        ],
        1,
    )
    centre = _centres(opacity)
    return torch.cat([rows, (centre - (rows @ (shift * signed[:, 3:, None])).squeeze(2))[:, :, None]], 2)


def placed(
    foregrounds: Float[Tensor, "batch channels height width"],
    opacity: Float[Tensor, "batch 1 height width"],
    maps: Float[Tensor, "batch 2 3"],
) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch 1 height width"]]:
    """Bring foregrounds to their places, by bilinear interpolation.

    Args:
        foregrounds: in [0, 1]; where the opacity is 0, nothing of them matters.
        opacity: in [0, 1].
        maps: as `random_placements` makes them.

    Returns:
        The foregrounds times their opacity there, to which a background is added with the rest, and that opacity. What
        leaves the view is cut off.
    """
    both = torch.cat([foregrounds * opacity, opacity], 1)
    grid = F.affine_grid(maps, list(both.shape), align_corners=False)
    moved = F.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved[:, :-1], moved[:, -1:]


def _centres(opacity: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch 2"]:
    """Find centres of mass, across and down, in half sides from the middle."""
    mass = opacity.sum((1, 2, 3))
    sides = []
    for axis in (3, 2):
        count = opacity.shape[axis]
        places = (2 * torch.arange(count, device=opacity.device, dtype=opacity.dtype) + 1) / count - 1
        sides.append((opacity.sum((1, 5 - axis)) * places).sum(1) / mass.clamp_min(1e-6))
    return torch.stack(sides, 1)
