"""Fully connected layers, for rows of a table."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """`depth` fully connected layers of one width, each with BatchNorm and ReLU.

    Args:
        columns: features of a row.
        width: of every layer, and so of the embedding.
        depth: number of layers.
    """

    def __init__(self, columns: int, *, width: int = 256, depth: int = 3) -> None:
        super().__init__()
        self.features = width
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(columns if level == 0 else width, width, bias=False),
                    nn.BatchNorm1d(width),
                    nn.ReLU(inplace=True),
                )
                for level in range(depth)
            )
        )

    def forward(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch features"]:
        embeddings: Tensor = self.layers(rows)
        return embeddings
