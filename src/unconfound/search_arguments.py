"""The arguments of the commands `index` and `search`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from unconfound.options.constraints import Checked, PositiveInt
from unconfound.options.training import Precision


@dataclass(frozen=True, kw_only=True)
class IndexArguments(Checked):
    """Store the embeddings of data for `unconfound search`: unconfound index RUN DATA --out INDEX.

    --add adds data to an existing index, --remove removes items from it. An update that is interrupted leaves the index
    as it was.
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run folder of the encoder; not needed when items are only removed."""
    data: tyro.conf.Positional[str | None] = None
    """Folder, file or name of data of the kind that the encoder was trained on."""
    out: Path
    """Folder of the index."""
    add: bool = False
    """Add to the index in --out; items replace earlier ones of the same name."""
    remove: tuple[str, ...] = ()
    """Names of items to remove from the index in --out, or folders or files to remove all items of."""
    overwrite: bool = False
    """Replace an existing index."""
    batch_size: PositiveInt = 512
    """Number of samples to embed at a time."""
    device: str = "auto"
    """Device of the encoder: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "32"
    """Numerical precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""


@dataclass(frozen=True, kw_only=True)
class SearchArguments(Checked):
    """Find the nearest items of an index: unconfound search INDEX QUERY [QUERY ...].

    A QUERY is an image file, a folder of images, a table, all of whose rows are queries, or one row of a table as
    table.csv:12 (rows are counted from 0). Other kinds of data that the encoder was trained on work the same way.
    """

    index: tyro.conf.Positional[Path]
    """Folder of the index."""
    queries: tyro.conf.Positional[tuple[str, ...]]
    """Queries to find the nearest items of."""
    neighbours: PositiveInt = 10
    """Number of nearest items to show per query."""
    backend: Literal["auto", "exact", "faiss"] = "auto"
    """Search implementation: exact (ours), faiss (needs the extra `search`), or auto, the faster one; the answers are
    the same."""
    out: Path | None = None
    """Folder for neighbours.parquet, neighbours.html (a sheet of pictures), and scores.json if classes are known."""
    overwrite: bool = False
    """Replace the results of an earlier search in --out."""
    batch_size: PositiveInt = 512
    """Number of queries to embed at a time."""
    device: str = "auto"
    """Device of the encoder: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "32"
    """Numerical precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
