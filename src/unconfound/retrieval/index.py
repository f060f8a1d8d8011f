"""An index that is open for searching."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int

from unconfound.encoders import Encoder, load_encoder
from unconfound.encoders.saved import Card, read_card
from unconfound.retrieval.index_encoder import FILES, encoder_fingerprint
from unconfound.retrieval.manifest import Manifest, read_manifest
from unconfound.retrieval.shards import check_files, open_embeddings, read_items


class Index:
    """An index as it was when it was opened; later updates of its folder do not show.

    Embeddings are memory-mapped: they are read when they are searched, and processes share them. `open_index` makes
    one.

    Attributes:
        folder: where it is.
        manifest: what `index.json` says.
        shards: the embeddings of length 1, one array a file.
        items: a table with the columns name, label (null where there is none), split, position and origin.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.shards: list[Float32[np.ndarray, "rows features"]] = [
            open_embeddings(folder, shard, features=manifest.features) for shard in manifest.shards
        ]
        self.items: pa.Table = read_items(folder, manifest.shards)

    def __len__(self) -> int:
        return self.manifest.items

    def __repr__(self) -> str:
        return f"Index({str(self.folder)!r}, {len(self):,} items of {self.manifest.features} features)"

    @property
    def names(self) -> list[str]:
        """The names of all items."""
        return [str(name) for name in self.items["name"].to_pylist()]

    def rows(self, positions: Int[np.ndarray, " chosen"]) -> Float32[np.ndarray, "chosen features"]:
        """Return the embeddings at some positions."""
        starts = np.cumsum([0, *(len(shard) for shard in self.shards)])
        of_shard = np.searchsorted(starts, positions, side="right") - 1
        found = np.empty((len(positions), self.manifest.features), np.float32)
        for number in np.unique(of_shard):
            here = of_shard == number
            found[here] = self.shards[number][positions[here] - starts[number]]
        return found

    @cached_property
    def classes(self) -> frozenset[str]:
        """The labels that items carry."""
        return frozenset(label for label in self.items["label"].unique().to_pylist() if label is not None)

    @cached_property
    def card(self) -> Card:
        """What the encoder is, and how data are read for it."""
        return read_card(self.folder / self.manifest.encoder)

    def load_encoder(self) -> Encoder:
        """Load the encoder that made the embeddings.

        Raises:
            FileNotFoundError, ValueError: its files are missing, damaged, or those of another encoder.
        """
        folder = self.folder / self.manifest.encoder
        if encoder_fingerprint(folder) != self.manifest.fingerprint:
            raise ValueError(
                f"{folder} holds another encoder than the one that made the index, or a damaged one: put "
                f"{' and '.join(FILES)} back, or index the data anew with --overwrite"
            )
        return load_encoder(folder)


def open_index(folder: Path | str, *, checksums: bool = True) -> Index:
    """Open an index for searching.

    Args:
        folder: where it is.
        checksums: compare every file with the checksum that it was written with, which reads all of them once. Without,
            their sizes are compared.

    Raises:
        FileNotFoundError: there is no index, or a file of it is missing.
        ValueError: a file is truncated or damaged; the message names it.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    while True:
        try:
            check_files(folder, manifest, checksums=checksums)
            return Index(folder, manifest)
        except FileNotFoundError:
            # An update that ended in the meantime has removed what it replaced: look at what is there now.
            latest = read_manifest(folder)
            if latest == manifest:
                raise
            manifest = latest
