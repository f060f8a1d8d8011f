"""Prototypes: directions that projections are compared with, as the last layer of a head (DINO)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.functional.similarity import normalize


class Prototypes(nn.Module):
    """Projections of unit length -> their cosine similarities to prototypes.

    A linear layer without bias whose weights are normalised where they are used, by which their length plays no part:
    weight normalisation (Salimans and Kingma, NeurIPS 2016) with the scale fixed at 1.

    Args:
        count: number of prototypes.
        features: width of the projections.

    Attributes:
        frozen: a gradient flows to the projections, and none to the prototypes, where it is True; it is saved.
    """

    frozen: Tensor

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(F.normalize(torch.randn(count, features), dim=1))
        self.register_buffer("frozen", torch.tensor(False))

    def forward(self, projections: Float[Tensor, "rows features"]) -> Float[Tensor, "rows prototypes"]:
        # Half precision would round similarities by more than a low temperature tells apart.
        with torch.autocast(projections.device.type, enabled=False):
            # Without asking the device.
            directions = torch.where(self.frozen, self.directions.detach(), self.directions)
            return projections @ normalize(directions).T


class UnitLength(nn.Module):
    """Rows of any length -> rows of length 1, in float32 or better."""

    def forward(self, rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
        return normalize(rows)
