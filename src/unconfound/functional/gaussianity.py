"""How far rows are from a standard normal distribution, seen along directions: SIGReg, the regulariser of LeJEPA."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.distributed import sum_over_processes, world
from unconfound.functional.inputs import check_above_0, check_at_least_1, check_floating, wide, wide_pair


def epps_pulley(
    values: Float[Tensor, "*sets rows columns"], *, points: int = 17, limit: float = 5.0
) -> Float[Tensor, "*sets columns"]:
    """Test each column for a standard normal distribution, by its characteristic function.

    Epps and Pulley, "A test for normality based on the empirical characteristic function" (Biometrika 1983), in the
    form of Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics"
    (arXiv 2511.08544, 2025), section 4.2.3 and the listing of SIGReg: with N rows x_n and phi(t) = exp(-t^2 / 2),

        N int |mean_n exp(i t x_n) - phi(t)|^2 phi(t) dt,

    from -limit to limit, by the trapezoidal rule with evenly spaced points. The integrand is even and 0 at 0, so that
    points above 0 are all that is computed: half of them for the same sum.

    0 where a column's characteristic function is that of the normal distribution at all points; at most
    4 N sqrt(2 pi), whatever the values, and so is no gradient large: values far away do little.

    Args:
        values: of this process; where the batch is spread over processes, each has as many rows, and all get the
            statistic of all rows.
        points: odd, at least 3.
        limit: above 0.

    Raises:
        TypeError: values are not floating-point.
        ValueError: there are no rows, or an option is out of its range.
    """
    check_above_0(limit=limit)
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and at least 3, got {points}")
    check_floating("values", values)
    if values.dim() < 2 or values.numel() == 0:
        raise ValueError(
            f"values must be [..., rows, columns] with at least one of each, got shape {tuple(values.shape)}"
        )
    rows = values.shape[-2] * world()[1]
    half = points // 2
    with torch.autocast(values.device.type, enabled=False):
        values = wide(values)
        # One point after the other: [..., rows, columns, points] would not stay in a cache.
        sums = []
        for point in range(1, half + 1):
            angles = values * (point * limit / half)
            sums += [angles.cos().sum(-2), angles.sin().sum(-2)]
        means = sum_over_processes(torch.stack(sums).unflatten(0, (half, 2))) / rows
        statistic = torch.zeros_like(means[0, 0])
        for point in range(1, half + 1):
            position, step = point * limit / half, limit / half
            normal = math.exp(-(position**2) / 2)
            apart = (means[point - 1, 0] - normal).square() + means[point - 1, 1].square()
            # Twice, for the point below 0; an end of the interval counts half.
            statistic = statistic + apart * (normal * step * (1 if point == half else 2))
        return statistic * rows


def sigreg(
    rows: Float[Tensor, "*sets rows features"],
    directions: Float[Tensor, "features slices"],
    *,
    points: int = 17,
    limit: float = 5.0,
) -> Float[Tensor, "*sets"]:
    """Compute SIGReg: how far rows are from an isotropic standard normal distribution, along some directions.

    Balestriero and LeCun (2025), section 4.2: the mean over the directions of `epps_pulley` of the rows' inner products
    with them. A distribution whose projections on all directions are standard normal is so itself (Cramer and Wold).

    Args:
        rows: of this process, as `epps_pulley` has them.
        directions: columns of unit length; the same for all processes (`random_directions`).
        points, limit: as `epps_pulley` has them.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: shapes do not fit, there are no rows, or an option is out of its range.
    """
    check_floating("rows", rows)
    check_floating("directions", directions)
    if rows.dim() < 2 or directions.dim() != 2 or rows.shape[-1] != len(directions):
        raise ValueError(
            "rows must be [..., rows, features] and directions [features, slices], got shapes "
            f"{tuple(rows.shape)} and {tuple(directions.shape)}"
        )
    with torch.autocast(rows.device.type, enabled=False):
        rows, directions = wide_pair(rows, directions)
        return epps_pulley(rows @ directions, points=points, limit=limit).mean(-1)


def random_directions(
    features: int, slices: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "{features} {slices}"]:
    """Draw directions, uniform over the sphere: columns of unit length, on the CPU.

    Args:
        features: of what is projected on them.
        slices: number of directions.
        generator: on the CPU; by default torch's global one.

    Raises:
        ValueError: there are no features or no slices.
    """
    check_at_least_1(features=features, slices=slices)
    drawn = torch.randn(features, slices, generator=generator)
    lengths: Tensor = torch.linalg.vector_norm(drawn, dim=0, keepdim=True)
    return drawn / lengths
