"""A batch that is spread over processes behaves as one batch.

Every process holds an equal share of the rows of a global batch, in the order of the ranks. Outside of
`torch.distributed` all functions here act on the one process's own batch.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def world() -> tuple[int, int]:
    """Return this process's rank and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(rows: Tensor) -> Tensor:
    """Concatenate the rows of all processes: [batch, ...] -> [processes x batch, ...].

    The backward pass sums the gradients that all processes hold for these rows. When each process then computes the
    loss of the whole batch and gradients of parameters are averaged over processes, as DistributedDataParallel does,
    the result equals the gradient of one process that holds the whole batch.
    """
    _, processes = world()
    return rows if processes == 1 else torch.cat(all_gather(rows))


def uniform(
    batch: int, *shape: int, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Draw [batch, *shape] numbers in [0, 1) for this process's rows of the global batch.

    The numbers of the global batch are drawn on every process, and each keeps its own rows, so that with equal
    generators the result does not depend on the number of processes.
    """
    rank, processes = world()
    device = generator.device if generator is not None else device
    drawn = torch.rand(processes * batch, *shape, generator=generator, device=device)
    return drawn[rank * batch : (rank + 1) * batch]
