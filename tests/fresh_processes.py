"""Processes that are started afresh and quickly, to be killed."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest


def forkserver(module: str) -> ForkServerContext:
    """Start a server whose processes have imported a module of the tests, and with it the library, already."""
    context = multiprocessing.get_context("forkserver")
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        context.set_forkserver_preload([module])
        # The server starts with the first process.
        process = context.Process(target=os.getpid)
        process.start()
        process.join()
    return context
