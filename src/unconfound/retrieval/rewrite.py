"""From the rows of an index and those to add to the shards of its next generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unconfound.retrieval.manifest import Manifest, Shard
from unconfound.retrieval.shards import Piece, check_checksum, open_embeddings, read_items, write_shard

# 131,072 rows of 128 features: few files for many rows, and little to write anew for one.
SHARD_BYTES = 2**26


def shard_rows(features: int) -> int:
    """Return how many rows a full shard has."""
    return max(1, SHARD_BYTES // (4 * features))


def kept_pieces(folder: Path, manifest: Manifest, gone: Sequence[str]) -> Iterator[Shard | Piece]:
    """Yield what stays of an index, in its order: shards that need no change as they are, others as their rows.

    Shards less than half full become rows, too, so that they are joined and many small updates leave few files.

    Args:
        folder: of the index.
        manifest: of the index.
        gone: the names of items that do not stay.

    Raises:
        ValueError: a file whose rows are written anew is damaged.
    """
    names = pa.array(gone, pa.string())
    for shard in manifest.shards:
        items = read_items(folder, [shard])
        stays = pc.invert(pc.is_in(items["name"], value_set=names)).to_numpy()
        if stays.all() and 2 * shard.rows >= shard_rows(manifest.features):
            yield shard
        elif stays.any():
            # They get a new checksum, which must not vouch for damage.
            check_checksum(folder, shard.embeddings)
            rows = open_embeddings(folder, shard, features=manifest.features)
            yield Piece(rows[stays], items.filter(pa.array(stays)))


def write_pieces(folder: Path, pieces: Iterable[Shard | Piece], *, generation: int, rows: int) -> tuple[Shard, ...]:
    """Write rows into shards of at most `rows`, and pass finished shards on; the order stays.

    Args:
        folder: of the index.
        pieces: what it is to hold.
        generation: for the names of the files.
        rows: of a full shard.
    """
    shards: list[Shard] = []
    waiting: list[Piece] = []

    def write(piece: Piece) -> None:
        shards.append(write_shard(folder, f"{generation:06d}-{len(shards):05d}", piece))

    def join(*, everything: bool) -> None:
        """Write what waits, as far as it makes full shards or `everything`."""
        if not waiting:
            return
        features, items = _joined(waiting)
        waiting.clear()
        first = 0
        while len(features) - first >= rows or (everything and first < len(features)):
            write(Piece(features[first : first + rows], items.slice(first, rows)))
            first += rows
        if first < len(features):
            waiting.append(Piece(features[first:], items.slice(first)))

    for piece in pieces:
        if isinstance(piece, Shard):
            join(everything=True)
            shards.append(piece)
            continue
        waiting.append(piece)
        if sum(len(each.features) for each in waiting) >= rows:
            join(everything=False)
    join(everything=True)
    return tuple(shards)


def _joined(pieces: Sequence[Piece]) -> tuple[np.ndarray, pa.Table]:
    return np.concatenate([piece.features for piece in pieces]), pa.concat_tables([piece.items for piece in pieces])
