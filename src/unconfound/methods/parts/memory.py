"""A memory of the embeddings of earlier batches with their labels (cross-batch memory)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class LabelledMemory(nn.Module):
    """The last `length` embeddings that were pushed, with their labels; it is saved and resumed.

    Wang et al., "Cross-Batch Memory for Embedding Learning" (CVPR 2020).

    Args:
        length: rows held.
        features: width of an embedding.

    Attributes:
        rows: [length, features], 0 where nothing was pushed yet.
        labels: [length], -1 where nothing was pushed yet.
    """

    rows: Tensor
    labels: Tensor
    pointer: Tensor

    def __init__(self, length: int, features: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(length, features))
        self.register_buffer("labels", torch.full((length,), -1))
        self.register_buffer("pointer", torch.tensor(0))

    @torch.no_grad()
    def push(self, rows: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Put rows in place of the oldest ones, and return where.

        Args:
            rows, labels: of all processes.

        Raises:
            ValueError: there are more rows than the memory holds.
        """
        length = len(self.rows)
        if len(rows) > length:
            raise ValueError(f"a batch of {len(rows)} does not fit a memory of {length}: use a smaller --batch-size")
        places = (self.pointer + torch.arange(len(rows), device=rows.device)) % length
        self.rows.index_copy_(0, places, rows.to(self.rows.dtype))
        self.labels.index_copy_(0, places, labels)
        self.pointer.add_(len(rows)).remainder_(length)
        return places

    def pairs(
        self, labels: Int[Tensor, " batch"], places: Int[Tensor, " batch"] | None
    ) -> tuple[Bool[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
        """Say which pairs of a sample and a row of the memory are of one class, and which are of two.

        Args:
            labels: of the samples.
            places: where the samples themselves are in the memory, which are no pairs; None: they are not in it.
        """
        same = labels[:, None] == self.labels
        different = ~same & (self.labels >= 0)
        if places is not None:
            same[torch.arange(len(labels), device=labels.device), places] = False
        return same, different
