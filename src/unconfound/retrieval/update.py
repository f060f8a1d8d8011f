"""What an index will hold: rows that stay and rows that are added, written as the shards of its next generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from rich.progress import Progress

from unconfound.data.core.subset import Subset
from unconfound.encoders import Encoder
from unconfound.evaluation.embed import embed
from unconfound.functional.similarity import normalize
from unconfound.options.embedding import EmbeddingOptions
from unconfound.retrieval.data_splits import Split
from unconfound.retrieval.manifest import Manifest, Shard
from unconfound.retrieval.shards import ITEMS, Piece, check_checksum, open_embeddings, read_items, write_shard

# 131,072 rows of 128 features: few files for many rows, and little to write anew for one.
SHARD_BYTES = 2**26


def shard_rows(features: int) -> int:
    """Return how many rows a full shard has."""
    return max(1, SHARD_BYTES // (4 * features))


def embedded_pieces(
    encoder: Encoder,
    splits: Sequence[Split],
    *,
    origin: int,
    rows: int,
    embedding: EmbeddingOptions,
    progress: Progress | None,
) -> Iterator[Piece]:
    """Embed data, so many samples at a time that memory does not grow with the data.

    Args:
        encoder: of the index.
        splits: of the data.
        origin: the place of the data in the index's list.
        rows: samples a piece.
        embedding: how they are embedded.
        progress: where a bar is shown for each piece.

    Raises:
        ValueError: an embedding is not finite.
    """
    for part in splits:
        for positions in torch.arange(len(part.source)).split(rows):
            embedded = embed(encoder, Subset(part.source, positions), progress=progress, **asdict(embedding))
            samples = positions.tolist()
            items = {
                "name": [part.names[sample] for sample in samples],
                "label": [part.labels[sample] for sample in samples],
                "split": [part.split] * len(samples),
                "position": samples,
                "origin": [origin] * len(samples),
            }
            yield Piece(unit_rows(embedded.features), pa.table(items, schema=ITEMS))


def unit_rows(features: torch.Tensor) -> np.ndarray:
    """Return rows of length 1 as an index holds them, in float32."""
    return normalize(features.float()).numpy()


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
