"""Tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_table(table: RenderableType) -> None:
    """Print a table of rich on the standard output."""
    from rich.console import Console  # here, as a usage text needs none of it

    console = Console()
    # Piped into a file there is no width to fit: 100 columns hold the tables.
    Console(width=None if console.is_terminal else 100).print(table)
