"""What a search found, as a table."""

from __future__ import annotations

from unconfound.evaluation.result_table import Column, Row, Table, TableCell, cells_of_text
from unconfound.retrieval.hits import Hits
from unconfound.retrieval.item_names import shown_name

QUERIES = 5
_VERDICTS = {1: "hit", 0: "miss", -1: ""}
_COLUMNS = (
    Column("class", align="left", wrap=True),
    Column("rank"),
    Column("item", align="left", wrap=True),
    Column("class", align="left", wrap=True),
    Column("similarity"),
    Column("distance"),
    Column("", align="left"),
)


def hits_table(answers: Hits) -> Table:
    """List the neighbours of the first five queries, one per row."""
    several = f"; the first {QUERIES} of {len(answers):,} queries" if len(answers) > QUERIES else ""
    rows = []
    hits = answers.hits()
    for row, (query, label) in enumerate(zip(answers.names[:QUERIES], answers.labels, strict=False)):
        there = answers.positions[row] >= 0
        items = answers.index.items.take(answers.positions[row][there]).to_pylist()
        for rank, item in enumerate(items):
            verdict = _VERDICTS[int(hits[row, rank])]
            numbers = (f"{each[row, rank]:.4f}" for each in (answers.similarities, answers.distances))
            found = cells_of_text((str(rank + 1), shown_name(item["name"]), item["label"] or None, *numbers))
            asked = TableCell((label or None) if rank == 0 else "")
            cells = (asked, *found, TableCell(verdict, mark=verdict))
            rows.append(Row(shown_name(query) if rank == 0 else "", cells, last=rank == len(items) - 1))
    title = f"Nearest in {answers.index.folder} by cosine similarity{several}."
    return Table(title, "query", _COLUMNS, tuple(rows))
