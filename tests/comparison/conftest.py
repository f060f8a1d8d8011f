"""Fresh processes, to be killed; and commands that must fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fresh_processes import forkserver

from unconfound.cli import main


@pytest.fixture(scope="package")
def context() -> Any:
    """Processes that have imported the library already."""
    return forkserver("comparison.runs")


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str], str], None]:
    """Run a command that must fail with one line."""

    def run(arguments: list[str], expected: str) -> None:
        assert main(arguments) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
        assert len(lines) == 1
        assert expected in lines[0]

    return run
