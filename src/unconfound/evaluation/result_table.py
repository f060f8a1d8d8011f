"""A table of figures, made once and written for the terminal, as Markdown and as CSV; pages write it as HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import rich.table
from rich import box
from rich.text import Text

from unconfound.evaluation.figures import Figure
from unconfound.visible import visible

MISSING = "-"
STYLES = {"hit": "green", "miss": "red"}


class Link(NamedTuple):
    """Text that leads to an address, as a title says; text alone where there is no address."""

    text: str
    address: str
    title: str


@dataclass(frozen=True)
class TableCell:
    """One value of a table.

    Args:
        value: a figure, which is written with its interval; text; for CSV also a number; None if it was not measured.
        second: a second line below a text.
        mark: a word that sets the cell apart ("best", "worst").
        links: what a writer with links shows in place of the value.
    """

    value: Figure | str | float | None
    second: str = ""
    mark: str = ""
    links: tuple[Link, ...] = ()

    @property
    def text(self) -> str:
        """The value in words; that of a figure in percent or points."""
        if isinstance(self.value, Figure):
            return f"{100 * self.value.value:.1f}"
        return MISSING if self.value is None else str(self.value)

    @property
    def interval(self) -> str:
        """What a page shows below the value: the interval of a figure, or the second line of a text."""
        if isinstance(self.value, Figure):
            return f"[{100 * self.value.low:.1f}, {100 * self.value.high:.1f}]"
        return self.second


@dataclass(frozen=True)
class Row:
    """A named row of cells; `second` stands below its name, and `last` draws a line below it on a terminal."""

    name: str
    cells: tuple[TableCell, ...]
    second: str = ""
    last: bool = False


@dataclass(frozen=True)
class Column:
    """What a column shows.

    Args:
        title: in words.
        unit: of its values ("%", "points", "s"), where the caption does not say it.
        second: what the second lines of its cells show; Markdown gives them a column of their own.
        align: where its values stand.
        wrap: whether a terminal may break its values over lines.
        width: of the header on a terminal, in characters.
    """

    title: str
    unit: str = ""
    second: str = ""
    align: Literal["left", "right"] = "right"
    wrap: bool = False
    width: int = 22

    @property
    def header(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True)
class Table:
    """A table with one header row and one header column.

    Args:
        title: what it shows.
        corner: what the header column lists.
        columns: the header row.
        rows: as many cells each as there are columns.
    """

    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def terminal_table(table: Table, *, name_width: int | None = None, padding: int = 1) -> rich.table.Table:
    """Lay a table out for a terminal. Figures are in percent or points, above the larger side of their interval.

    Args:
        table: what is shown.
        name_width: of the header column, in characters; longer names are folded.
        padding: blanks between columns.
    """
    shown = rich.table.Table(
        title=Text(visible(table.title), "italic"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, padding, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    headers = [[table.corner], *map(_header, table.columns)]
    height = max(map(len, headers))
    # The last lines of all headers stand in one line.
    corner, *others = (Text(visible("\n".join([""] * (height - len(lines)) + lines))) for lines in headers)
    shown.add_column(corner, overflow="fold", max_width=name_width)
    for column, header in zip(table.columns, others, strict=True):
        shown.add_column(header, justify=column.align, no_wrap=not column.wrap, overflow="fold")
    for row in table.rows:
        cells = (TableCell(row.name, row.second), *row.cells)
        shown.add_row(*(Text(visible(_lines(cell)), STYLES.get(cell.mark, "")) for cell in cells), end_section=row.last)
    return shown


def markdown_table(table: Table) -> str:
    """Write a table without its title as Markdown; figures have both limits of their interval."""
    titles = [table.corner, *(head for each in table.columns for head in (each.header, each.second) if head)]
    rules = ["---"]
    for column in table.columns:
        rules += ["---:" if column.align == "right" else "---"] * (2 if column.second else 1)
    rows = [list(map(escaped, titles)), rules]
    for row in table.rows:
        name = ", ".join(filter(None, (row.name, row.second)))
        cells = zip(table.columns, row.cells, strict=True)
        rows.append([escaped(name), *(text for column, cell in cells for text in _markdown(column, cell))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escaped(words: str) -> str:
    """Keep Markdown from reading words as a column, a tag or emphasis."""
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def table_of_texts(title: str, columns: Mapping[str, Mapping[str, str]]) -> Table | None:
    """Make a table of text with one column per name and one row per key; None without a key."""
    keys = dict.fromkeys(key for each in columns.values() for key in each)
    rows = tuple(Row(key, cells_of_text(each.get(key) for each in columns.values())) for key in keys)
    return Table(title, "", tuple(map(Column, columns)), rows) if rows else None


def cells_of_text(values: Iterable[str | None]) -> tuple[TableCell, ...]:
    """Return cells of text."""
    return tuple(map(TableCell, values))


def _header(column: Column) -> list[str]:
    # A word that a narrow column would rather break.
    title = column.title.replace("validation", "valid-ation") if column.width < len("validation") else column.title
    return [*textwrap.wrap(title, column.width, break_long_words=False), *([column.unit] if column.unit else [])]


def _lines(cell: TableCell) -> str:
    if isinstance(cell.value, Figure):
        half = max(cell.value.high - cell.value.value, cell.value.value - cell.value.low)
        return f"{cell.text}\n±{100 * half:.1f}"
    return "\n".join(filter(None, (cell.text, cell.second)))


def _markdown(column: Column, cell: TableCell) -> list[str]:
    if cell.links:
        return [" ".join(f"[{link.text}]({link.address})" if link.address else link.text for link in cell.links)]
    if column.second:
        return [escaped(cell.text), escaped(cell.second or MISSING)]
    return [escaped(" ".join(filter(None, (cell.text, cell.interval))))]
