"""What the commands `index` and `search` take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from unconfound.options.training import Precision


@dataclass(frozen=True, kw_only=True)
class IndexArguments:
    """Keep the embeddings of data where `unconfound search` finds them: unconfound index RUN DATA --out INDEX.

    --add adds data to an index that is there, --remove takes items out of it. Killed at any moment, an update leaves
    the index as it was.
    """

    run: tyro.conf.Positional[Path | None] = None
    """run folder; not needed where items are only removed"""
    data: tyro.conf.Positional[str | None] = None
    """a folder, file or name of data of the kind that the encoder was trained on"""
    out: Path
    """folder of the index"""
    add: bool = False
    """add to the index in --out; an item that is there by the same name is replaced"""
    remove: tuple[str, ...] = ()
    """items to take out of the index in --out, by their names, or folders or files to take all items of out"""
    overwrite: bool = False
    """replace the index in --out"""
    batch_size: int = 512
    """samples embedded at a time"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps"""
    precision: Precision = "32"
    """precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, else 32"""
    data_root: Path | None = None
    """where the files of a named data set lie"""


@dataclass(frozen=True, kw_only=True)
class SearchArguments:
    """Find the nearest items of an index: unconfound search INDEX QUERY [QUERY ...].

    A QUERY is an image file, a folder of images, a table, all of whose rows are queries, or one row of a table as
    table.csv:12 (rows count from 0). Other data that the encoder was trained on work likewise.
    """

    index: tyro.conf.Positional[Path]
    """folder of the index"""
    queries: tyro.conf.Positional[tuple[str, ...]]
    """what to look for"""
    neighbours: int = 10
    """nearest items that are shown for each query"""
    backend: Literal["auto", "exact", "faiss"] = "auto"
    """who searches: ours, faiss (needs the extra `search`), or the faster one; the answers are the same"""
    out: Path | None = None
    """folder for neighbours.parquet, neighbours.html, a sheet of pictures, and scores.json where classes are known"""
    overwrite: bool = False
    """replace those in --out"""
    batch_size: int = 512
    """queries embedded at a time"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps"""
    precision: Precision = "32"
    """precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, else 32"""
    data_root: Path | None = None
    """where the files of a named data set lie"""
