"""Fresh processes, to be killed; and commands that must fail."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unconfound.cli import main


@pytest.fixture(scope="package")
def context() -> Any:
    """Processes that have imported the library already."""
    context = multiprocessing.get_context("forkserver")
    paths = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        context.set_forkserver_preload(["comparison.runs"])
        process = context.Process(target=os.getpid)
        process.start()
        process.join()
    return context


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str], str], None]:
    """Run a command that must fail with one line."""

    def run(arguments: list[str], expected: str) -> None:
        assert main(arguments) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
        assert len(lines) == 1
        assert expected in lines[0]

    return run
