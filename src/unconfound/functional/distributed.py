"""A batch that is spread over processes behaves as one batch.

Every process holds an equal share of the rows of a global batch, in the order of the ranks. Outside of
`torch.distributed` all functions here act on the one process's own batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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
    rank, processes = world()
    if processes == 1:
        return rows
    others = rows.new_zeros(processes, *rows.shape)
    return sum_over_processes(others.index_copy(0, torch.tensor([rank], device=rows.device), rows[None])).flatten(0, 1)


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum a tensor of equal shape over all processes; the backward pass sums the gradients likewise."""
    summed: Tensor = _Sum.apply(values) if world()[1] > 1 else values
    return summed


class _Sum(torch.autograd.Function):
    # torch.distributed.nn has the same, deprecated in favour of a private module since torch 2.15.
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        summed = values.contiguous().clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return sum_over_processes(tangent)


def uniform(
    batch: int, *shape: int, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Draw [batch, *shape] numbers in [0, 1) for this process's rows of the global batch.

    The numbers of the global batch are drawn on every process, and each keeps its own rows, so that with equal
    generators the result does not depend on the number of processes.
    """
    return _own(torch.rand, batch, *shape, generator=generator, device=device)


def normal(
    batch: int, *shape: int, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Draw [batch, *shape] numbers of mean 0 and variance 1, as `uniform` draws its own."""
    return _own(torch.randn, batch, *shape, generator=generator, device=device)


def _own(
    draw: Callable[..., Tensor],
    batch: int,
    *shape: int,
    generator: torch.Generator | None,
    device: torch.device | None,
) -> Tensor:
    rank, processes = world()
    device = generator.device if generator is not None else device
    drawn = draw(processes * batch, *shape, generator=generator, device=device)
    return drawn[rank * batch : (rank + 1) * batch]
