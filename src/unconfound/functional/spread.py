"""How evenly the rows of a batch spread: the regulariser KoLeo, which DINOv2 has."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_rows, check_several
from unconfound.functional.similarity import normalize


def koleo(rows: Float[Tensor, "batch features"], *, closest: float = 1e-8) -> Float[Tensor, ""]:
    """Compute KoLeo: the negative mean logarithm of the distance of each row, on the sphere, to its nearest other row.

    Sablayrolles et al., "Spreading vectors for similarity search" (ICLR 2019), equation 4, after the estimate of the
    entropy by Kozachenko and Leonenko; Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision"
    (TMLR 2024), section 4: -1/n sum_i log min_{j != i} ||x_i - x_j||, the rows brought to unit length. A gradient flows
    to both rows of a pair, and none to the choice of the nearest; of equally near ones, it is the first.

    The formula is infinite where two rows are equal. Distances below `closest` count as it, and have no gradient;
    DINOv2's code adds it to every distance.

    Args:
        rows: two or more of the batch of all processes, of any scale.
        closest: above 0.

    Raises:
        TypeError: rows are not floating-point.
        ValueError: there are fewer than two rows, no features, or `closest` is out of its range.
    """
    check_above_0(closest=closest)
    check_rows("rows", rows)
    check_several(rows, loss="koleo")
    with torch.autocast(rows.device.type, enabled=False):
        rows = normalize(rows)
        with torch.no_grad():
            alike = rows.detach() @ rows.detach().T
            nearest = alike.fill_diagonal_(-torch.inf).argmax(1)
        # The difference and not 2 - 2 cos, of which nothing is left where rows are near.
        squares = (rows - rows[nearest]).square().sum(1)
        return -squares.clamp_min(closest**2).log().mean() / 2
