"""From what a network returns to an embedding of the width that is asked for: the head of metric learning."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Projection(nn.Module):
    """A linear layer, behind BatchNorm where that is asked for.

    Args:
        width: of what the network returns.
        features: of the embedding.
        batch_norm: normalise first, as DCML's released code does; the Reality Check's head is the linear layer alone.

    Raises:
        ValueError: `features` is below 1.
    """

    def __init__(self, width: int, features: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features of the embedding must be at least 1, got {features}")
        self.norm = nn.BatchNorm1d(width) if batch_norm else None
        self.linear = nn.Linear(width, features)

    def forward(self, pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch features"]:
        """Return the embedding, which is not normalised."""
        embeddings: Tensor = self.linear(pooled if self.norm is None else self.norm(pooled))
        return embeddings
