"""The files of an index: embeddings as memory-mapped arrays, items as Parquet, each known by its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from unconfound.documents import one_line
from unconfound.files import atomic
from unconfound.retrieval.manifest import Manifest, Shard, StoredFile

# `position` counts in the split of the data that the item comes from, `origin` in the index's list of origins.
ITEMS = pa.schema(
    [
        ("name", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("position", pa.int64()),
        ("origin", pa.int32()),
    ]
)
_REMEDY = "put the file back, or index the data anew with --overwrite"


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows on their way into an index: their embeddings, of length 1, and their items."""

    features: Float32[np.ndarray, "rows features"]
    items: pa.Table


def write_shard(folder: Path, name: str, piece: Piece) -> Shard:
    """Write the two files of a shard, each whole or not at all."""
    embeddings, items = folder / f"embeddings-{name}.npy", folder / f"items-{name}.parquet"
    with atomic(embeddings) as temporary:
        np.save(temporary, piece.features)
    with atomic(items) as temporary:
        pq.write_table(piece.items, temporary)
    return Shard(len(piece.features), _stored(embeddings), _stored(items))


def open_embeddings(folder: Path, shard: Shard, *, features: int) -> Float32[np.ndarray, "rows features"]:
    """Map a shard's embeddings into memory.

    Raises:
        FileNotFoundError, OSError: the file cannot be read.
        ValueError: the file holds something else.
    """
    path = folder / shard.embeddings.name
    try:
        # Copy-on-write, so that torch takes the array; nothing is written to it.
        rows = np.load(path, mmap_mode="c", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # what damage to the head of the file raises depends on where it is
        raise ValueError(f"{path} is damaged ({one_line(error)}): {_REMEDY}") from error
    if rows.dtype != np.float32 or rows.shape != (shard.rows, features):
        raise ValueError(
            f"{path} is damaged: it holds {rows.dtype} of shape {rows.shape}, not float32 of "
            f"{(shard.rows, features)}: {_REMEDY}"
        )
    return np.asarray(rows)


def read_items(folder: Path, shards: Iterable[Shard]) -> pa.Table:
    """Read the items of shards into one table, and compare their checksums.

    Raises:
        FileNotFoundError, OSError: a file cannot be read.
        ValueError: a file is damaged.
    """
    tables = [ITEMS.empty_table()]
    for shard in shards:
        path = folder / shard.items.name
        # Damage is looked for before Arrow sees the file: it would believe any size that it reads there.
        check_checksum(folder, shard.items)
        try:
            table = pq.read_table(path).select(ITEMS.names).cast(ITEMS)
        except (pa.ArrowException, KeyError) as error:
            raise ValueError(f"{path} is damaged ({one_line(error)}): {_REMEDY}") from error
        if len(table) != shard.rows:
            raise ValueError(f"{path} is damaged: it holds {len(table)} items, not {shard.rows}: {_REMEDY}")
        tables.append(table)
    return pa.concat_tables(tables)


def check_files(folder: Path, manifest: Manifest, *, checksums: bool) -> None:
    """Refuse an index of which a file is missing, truncated or altered.

    Args:
        folder: of the index.
        manifest: what it should hold.
        checksums: read all files, too; else their sizes are looked at.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file has another size or content than it was written with.
    """
    files = manifest.files()
    for file in files:
        path = folder / file.name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing from the index: {_REMEDY}")
        size = path.stat().st_size
        if size != file.bytes:
            kind = "truncated" if size < file.bytes else "damaged"
            raise ValueError(f"{path} is {kind}: it has {size:,} bytes instead of {file.bytes:,}: {_REMEDY}")
    if checksums:
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(check_checksum, folder), files))


def check_checksum(folder: Path, file: StoredFile) -> None:
    """Refuse a file that is not, byte for byte, what was written.

    Raises:
        FileNotFoundError, OSError: it cannot be read.
        ValueError: its checksum is another.
    """
    if _digest(folder / file.name) != file.sha256:
        raise ValueError(f"{folder / file.name} is damaged: its checksum is not that it had: {_REMEDY}")


def _stored(path: Path) -> StoredFile:
    return StoredFile(path.name, path.stat().st_size, _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
