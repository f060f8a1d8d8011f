"""Runs a function in two gloo processes."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from fresh_processes import forkserver


def run(function: Callable[..., Any], tmp_path: Path, *args: Any) -> list[Any]:
    """Call `function(*args)` in two processes that form a gloo group, and return what each returned, by rank.

    Args:
        function: defined at the top of a test module, so that a fresh process can import it. It returns tensors, or
            lists, tuples and dictionaries of plain values and tensors.
        tmp_path: an empty folder for the rendezvous and the results.
        args: handed to the function; whatever pickle takes.

    Raises:
        AssertionError: a process failed; with its traceback.
    """
    context = forkserver("two_processes")
    given = (function, tmp_path, args, dict(os.environ))
    processes = [context.Process(target=_rank, args=(rank, *given)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        process.kill()
    failures = [path.read_text() for path in sorted(tmp_path.glob("failed-*.txt"))]
    assert not failures, "\n".join(failures)
    return [pickle.loads((tmp_path / f"result-{rank}.pickle").read_bytes()) for rank in range(2)]


def _rank(
    rank: int, function: Callable[..., Any], tmp_path: Path, args: tuple[Any, ...], environment: dict[str, str]
) -> None:
    torch.set_num_threads(1)
    # The server has the environment of the test that started it.
    os.environ.clear()
    os.environ.update(environment)
    try:
        dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=rank, world_size=2)
        (tmp_path / f"result-{rank}.pickle").write_bytes(pickle.dumps(function(*args)))
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        (tmp_path / f"failed-{rank}.txt").write_text(traceback.format_exc())
        raise
