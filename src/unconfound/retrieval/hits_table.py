"""What a search found, for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from unconfound.retrieval.hits import Hits
from unconfound.retrieval.item_names import shown_name

QUERIES = 5
_NOTHING = "-"
_VERDICTS = {1: "hit", 0: "miss", -1: ""}


def hits_table(answers: Hits) -> Table:
    """Lay the neighbours of the first five queries out, one a line, within 100 columns."""
    several = f"; the first {QUERIES} of {len(answers):,} queries" if len(answers) > QUERIES else ""
    table = Table(
        title=f"Nearest in {answers.index.folder} by cosine similarity{several}.",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in ("query", "class", "rank", "item", "class"):
        table.add_column(column, overflow="fold", justify="right" if column == "rank" else "left")
    for column in ("similarity", "distance"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    hits = answers.hits()
    for row, (query, label) in enumerate(zip(answers.names[:QUERIES], answers.labels, strict=False)):
        there = answers.positions[row] >= 0
        items = answers.index.items.take(answers.positions[row][there]).to_pylist()
        for rank, item in enumerate(items):
            # Names are of files: nothing in them is markup.
            table.add_row(
                Text(shown_name(query) if rank == 0 else ""),
                Text((label or _NOTHING) if rank == 0 else ""),
                str(rank + 1),
                Text(shown_name(item["name"])),
                Text(item["label"] or _NOTHING),
                f"{answers.similarities[row, rank]:.4f}",
                f"{answers.distances[row, rank]:.4f}",
                Text(_VERDICTS[int(hits[row, rank])], style="green" if hits[row, rank] == 1 else "red"),
                end_section=rank == len(items) - 1,
            )
    return table
