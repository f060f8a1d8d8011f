"""`unconfound search`: find the nearest items of an index."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from unconfound.options.constraints import Checked, PositiveInt
from unconfound.options.embedding import EmbeddingOptions, ReadingOptions, grouped
from unconfound.outputs import check_output_file
from unconfound.parsing import parse
from unconfound.terminal import print_table

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from jaxtyping import Float
    from rich.progress import Progress
    from torch import Tensor

    from unconfound.retrieval import Hits, Index

Backend = Literal["auto", "exact", "faiss"]


@dataclass(frozen=True, kw_only=True)
class SearchArguments(Checked):
    """Find the nearest items of an index: unconfound search INDEX QUERY [QUERY ...].

    A QUERY is an image file, a folder of images, a table (each of its rows is a query), or one row of a table as
    table.csv:12 (rows are counted from 0). Other kinds of data that the encoder was trained on work the same way.
    """

    index: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="INDEX")]
    """Folder of the index."""
    queries: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="QUERY [QUERY ...]", help_behavior_hint="(required)"),
    ]
    """Queries to find the nearest items of."""
    neighbours: PositiveInt = 10
    """Number of nearest items to show per query."""
    backend: Backend = "auto"
    """Search implementation: exact (ours), faiss (needs the extra `search`), or auto, the faster one; the answers are
    the same."""
    out: Path | None = None
    """Folder for neighbours.parquet, neighbours.html (a sheet of pictures), and scores.json if classes are known."""
    overwrite: bool = False
    """Replace the results of an earlier search in --out."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)


def search(
    index: Index | Path | str,
    queries: str | Path | Sequence[str | Path] | Float[Tensor, "queries features"],
    *,
    neighbours: int = 10,
    backend: Backend = "auto",
    data_root: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Hits:
    """Find the items of an index that are nearest to each query, by the cosine of their embeddings.

    The search is exhaustive: nothing near is missed. Equally near items come in the order in which they were added. A
    query that is itself an item of the index, by its name, is left out of its own neighbours; copies of it under
    other names are not.

    Args:
        index: open, or its folder.
        queries: an image file, a folder, a table or other data as the encoder was trained on, or one sample of these as
            DATA:ROW ("table.csv:12", rows count from 0); or several of them; or embeddings by the index's own encoder.
            The class of an image file is the name of its folder where items of the index have that class.
        neighbours: of each query; fewer where the index is smaller.
        backend: who searches. "exact" is ours; "faiss" needs the extra `search`; "auto" takes the faster one. Their
            answers are the same.
        data_root: where the files of named data lie.
        progress: where a bar is shown.
        **options: `batch_size`, `device` and `precision`, as `EmbeddingOptions` has them, and `workers` and
            `memory_gib`, as `ReadingOptions` has them.

    Raises:
        FileNotFoundError: no index or query is there.
        ValueError: the index is empty or damaged, a query cannot be read or is of another kind than the index holds,
            embeddings have another width or are not finite, or `neighbours` is below 1.
        ImportError: `backend` is "faiss", and it is not installed.
    """
    from torch import Tensor

    from unconfound.devices import resolved
    from unconfound.retrieval import Index, open_index
    from unconfound.retrieval.search import embedded_queries, find_hits, given_queries

    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    embedding, reading = grouped(options)
    embedding = resolved(embedding)
    index = index if isinstance(index, Index) else open_index(index)
    if len(index) == 0:
        raise ValueError(f"{index.folder} is empty: add items by unconfound index RUN DATA --out {index.folder} --add")
    if isinstance(queries, Tensor):
        asked = given_queries(queries, index)
    else:
        words = [str(word) for word in ([queries] if isinstance(queries, str | Path) else queries)]
        asked = embedded_queries(words, index, embedding, reading, data_root=data_root, progress=progress)
    return find_hits(asked, index, neighbours=neighbours, backend=backend)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound search` says."""
    given: SearchArguments = parse(SearchArguments, list(words), command="search")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        from unconfound.evaluation import terminal_table
        from unconfound.report.contact_sheet import write_contact_sheet
        from unconfound.retrieval.hits_table import hits_table
        from unconfound.retrieval.scores import SCORES, scores_line, search_scores, write_scores

    out = given.out or Path()
    table, sheet = out / "neighbours.parquet", out / "neighbours.html"
    if given.out is not None:
        # Before anything is embedded: the folder may be taken.
        for path in (table, sheet, out / SCORES):
            check_output_file(path, overwrite=given.overwrite)
    with Bars(first=f"reading {given.index} and the queries") as progress:
        answers = search(
            given.index,
            given.queries,
            neighbours=given.neighbours,
            backend=given.backend,
            data_root=given.data_root,
            progress=progress,
            **vars(given.embedding),
        )
    print_table(terminal_table(hits_table(answers)))
    scores = search_scores(answers)
    if scores:
        print(scores_line(scores))
    if given.out is None:
        print("Next: the same with --out FOLDER, for neighbours.parquet and a sheet of pictures")
        return
    answers.save(table)
    if scores:
        write_scores(out / SCORES, scores)
    else:
        (out / SCORES).unlink(missing_ok=True)  # of an earlier search
    with announced(f"writing {sheet}"):
        write_contact_sheet(sheet, answers, command=shlex.join(["unconfound", "search", *words]))
    print(f"Neighbours: {table}\nNext: open {sheet}")
