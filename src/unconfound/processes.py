"""The processes that torchrun started, as one group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta


@contextmanager
def joined_processes() -> Iterator[int]:
    """Join the processes that torchrun started with this one; by itself, or in a group already, it stays as it is.

    Yields:
        The rank of this process among them.
    """
    import torch.distributed as dist

    from unconfound.functional.distributed import world

    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield world()[0]
        return
    # They meet rarely, and the slowest may come much later than the first.
    dist.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield world()[0]
    finally:
        dist.destroy_process_group()


def own_device(device: str) -> str:
    """Return the GPU of this process where each of several has its own.

    Args:
        device: what `choose_device` returns.

    Raises:
        ValueError: one GPU is named for several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not device.startswith("cuda"):
        return device
    if ":" in device:
        raise ValueError(f"device {device!r} is one GPU for several processes: use cuda, which gives each its own")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
