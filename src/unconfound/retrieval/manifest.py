"""`index.json`: of which files an index consists, and of which encoder its embeddings are; with its own checksum."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from unconfound.documents import read_sealed, sealed
from unconfound.files import write_text
from unconfound.records import record

FORMAT = 1
NAME = "index.json"


@dataclass(frozen=True)
class StoredFile:
    """A file of the index and what it must hold, byte for byte."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Shard:
    """Some rows of the index: their embeddings (.npy) and their items (.parquet), in one order."""

    rows: int
    embeddings: StoredFile
    items: StoredFile


@dataclass(frozen=True)
class Origin:
    """Where items come from: the absolute path or the name of data, and where the files of named data lie."""

    data: str
    data_root: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What `index.json` says.

    Args:
        encoder: the folder, inside the index, of the encoder that made the embeddings.
        fingerprint: of that encoder.
        features: width of an embedding.
        shards: in the order of the items' positions.
        origins: of the items, which name theirs by its place here.
        generation: how many times the index was written; file names begin with it, so that none is ever written twice.
        metric: what "near" means. Embeddings are of length 1, so that inner products are cosines.
    """

    encoder: str
    fingerprint: str
    features: int
    shards: tuple[Shard, ...] = ()
    origins: tuple[Origin, ...] = ()
    generation: int = 0
    metric: Literal["cosine"] = "cosine"

    @property
    def items(self) -> int:
        """How many there are."""
        return sum(shard.rows for shard in self.shards)

    def files(self) -> list[StoredFile]:
        """Return the files of all shards."""
        return [file for shard in self.shards for file in (shard.embeddings, shard.items)]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `index.json`: from here on the index is what it says, before it what the earlier one said."""
    said = {"format": FORMAT, "items": manifest.items, **asdict(manifest)}
    write_text(folder / NAME, json.dumps(sealed(said), indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read `index.json`.

    Raises:
        FileNotFoundError: the folder holds no index.
        ValueError: the file is damaged, altered or of another format.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {NAME}: make an index by unconfound index RUN DATA --out {folder}")
    remedy = "index the data anew, with --overwrite"
    said = read_sealed(path, format=FORMAT, remedy=remedy)
    items = said.pop("items", None)
    try:
        manifest = record(Manifest, said)
        _check(manifest, items)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {remedy}") from error
    return manifest


def _check(manifest: Manifest, items: object) -> None:
    if manifest.items != items:
        raise ValueError(f"{items} items, but {manifest.items} in its shards")
    if manifest.features < 1 or any(shard.rows < 1 for shard in manifest.shards):
        raise ValueError("features and the rows of shards must be at least 1")
    for name in (manifest.encoder, *(file.name for file in manifest.files())):
        # Nothing outside of the folder is read, and nothing there is removed.
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no file of the index")
