"""`index.json`: of which files an index consists, and of which encoder its embeddings are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unconfound.files import write_text

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
    metric: str = "cosine"

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
    write_text(folder / NAME, json.dumps(said, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read `index.json`.

    Raises:
        FileNotFoundError: the folder holds no index.
        ValueError: the file is damaged or of another format.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {NAME}: make an index by unconfound index RUN DATA --out {folder}")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise ValueError(f"{path} has format {said['format']}, this version of unconfound reads {FORMAT}")
        manifest = Manifest(
            encoder=str(said["encoder"]),
            fingerprint=str(said["fingerprint"]),
            features=int(said["features"]),
            shards=tuple(_shard(each) for each in said["shards"]),
            origins=tuple(Origin(**each) for each in said["origins"]),
            generation=int(said["generation"]),
            metric=str(said["metric"]),
        )
        if manifest.items != said["items"]:
            raise TypeError(f"{said['items']} items, but {manifest.items} in its shards")
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}): index the data anew, with --overwrite") from error
    return manifest


def _shard(said: dict[str, Any]) -> Shard:
    return Shard(int(said["rows"]), StoredFile(**said["embeddings"]), StoredFile(**said["items"]))
