"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from unconfound.evaluation.figures import Evaluation


def print_table(table: RenderableType) -> None:
    """Print a table of rich on the standard output."""
    from unconfound.progress import PlainConsole  # here, as a usage text needs none of it

    console = PlainConsole()
    # Piped into a file there is no width to fit: 100 columns hold the tables.
    PlainConsole(width=None if console.is_terminal else 100).print(table)


def print_evaluations(evaluations: Sequence[Evaluation], out: Path) -> None:
    """Print the figures of encoders, and where their files are."""
    from unconfound.evaluation import evaluation_table, terminal_table

    print_table(terminal_table(evaluation_table(evaluations), name_width=12))
    print(f"Figures: {out / 'evaluation.json'}\nReport:  {out / 'report.html'}")
