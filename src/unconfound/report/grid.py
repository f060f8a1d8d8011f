"""A table of text, ready for the template."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.evaluation.figures import Figure

UNKNOWN = "—"


@dataclass(frozen=True)
class TableCell:
    """A figure as text; `mark` is a word that sets it apart ("best", "worst")."""

    text: str
    interval: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A named row of cells."""

    name: str
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class Table:
    """A table with one header row and one header column.

    Args:
        caption: what it shows, with the unit.
        corner: what the header column lists.
        columns: the header row.
        rows: as many cells each as there are columns.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def figure_cell(figure: Figure | None, *, mark: str = "") -> TableCell:
    """Write a figure in percent or points; an undefined one as a dash."""
    if figure is None:
        return TableCell(UNKNOWN)
    return TableCell(f"{100 * figure.value:.1f}", f"[{100 * figure.low:.1f}, {100 * figure.high:.1f}]", mark)
