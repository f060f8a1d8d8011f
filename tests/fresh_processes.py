"""Processes that start afresh and quickly: a server that has imported the library forks them."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

# Importing them takes seconds, which a server of a worker of the suite spends once for all of its processes.
LIBRARY = (
    "lightning_fabric",  # which the library imports only where it trains
    "unconfound.methods",
    "unconfound.training",
    "unconfound.data.load",
    "unconfound.evaluation.evaluate",
)


def forkserver(module: str) -> ForkServerContext:
    """Start a server whose processes have imported the library and a module of the tests already.

    A test process has one server: where it runs, the module is imported by each process that needs it.
    """
    context = multiprocessing.get_context("forkserver")
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        context.set_forkserver_preload([*LIBRARY, module])
        # The server starts with the first process.
        process = context.Process(target=os.getpid)
        process.start()
        process.join()
    return context
