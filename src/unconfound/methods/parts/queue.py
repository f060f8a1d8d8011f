"""A queue of embeddings of earlier batches, to compare more samples than a batch holds (MoCo, ReSSL)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.functional.distributed import gather


class KeyQueue(nn.Module):
    """The last `length` keys that were pushed, at first random rows of unit length. It is saved and resumed.

    Args:
        length: rows held; any batch size goes, whether it divides `length` or not.
        features: width of a key.

    Raises:
        ValueError: `length` or `features` is below 1.
    """

    keys: Tensor
    pointer: Tensor

    def __init__(self, length: int, features: int) -> None:
        super().__init__()
        if length < 1 or features < 1:
            raise ValueError(f"a queue holds at least one row of one feature, got {length} of {features}")
        self.register_buffer("keys", F.normalize(torch.randn(length, features), dim=1))
        self.register_buffer("pointer", torch.tensor(0))

    def rows(self) -> Float[Tensor, "length features"]:
        """Return a copy of the keys, in no order: a later push leaves it, and the graph that holds it, alone."""
        return self.keys.clone()

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "batch features"]) -> None:
        """Put the keys of all processes, in the order of the ranks, in place of the oldest rows.

        Call it after the rows were used. Of more keys than the queue is long, the last stay.

        Args:
            keys: of this process's samples; every process has as many.
        """
        length = len(self.keys)
        keys = gather(keys.detach().to(self.keys.dtype))
        # From the pointer, which stays on the device, on around the end: nothing waits for it.
        skipped = max(len(keys) - length, 0)
        places = (self.pointer + torch.arange(skipped, len(keys), device=keys.device)) % length
        self.keys.index_copy_(0, places, keys[skipped:])
        self.pointer.add_(len(keys)).remainder_(length)
