"""Embeddings written as they come: the memory that it takes, and the time against a column for each feature."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor, nn

from benchmarks.measure import WHOLE, Scale, Step, held, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Schema, Source
from unconfound.evaluation.embed_to_file import embed_to_file
from unconfound.evaluation.embedding_parts import Output, Part, parts_of
from unconfound.evaluation.joined_parts import write_table
from unconfound.files import atomic
from unconfound.options.embedding import EmbeddingOptions

FEATURES, WIDE, BATCH = 64, 512, 512
HOW = EmbeddingOptions(batch_size=BATCH, device="cpu")


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    many, few = scale.of(200_000, 2_000), scale.of(20_000, 1_000)
    for suffix in (".parquet", ".npy"):
        yield held(
            f"embed, growth of the peak of {many:,} x {FEATURES} rows to {suffix}, x that of {few:,}",
            partial(_embedding, many, suffix),
            partial(_embedding, few, suffix),
            target=1.2,
            scale=scale,
        )
    rows = scale.of(100_000, 500)
    features = np.random.default_rng(0).standard_normal((rows, WIDE), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for what, write in (("written, parts included", _parts_and_file), ("written at once", _file)):
            yield timed(
                f"{rows:,} x {WIDE} embeddings {what}, against a column for each feature by pandas",
                partial(write, Path(folder), features),
                lambda: partial(_wide, Path(folder) / "wide.parquet", features),
                target=8,
                rounds=3,
                scale=scale,
            )


class _Drawn(Source):
    """Rows that nobody holds: each batch is made when it is asked for."""

    def __init__(self, samples: int) -> None:
        self.name, self.schema, self.samples = "drawn", Schema("tables", (FEATURES,)), samples
        self.labels = self.groups = self.names = None
        self.notes = ()

    def __len__(self) -> int:
        return self.samples

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        for index in order:
            yield self._batch(torch.randn(len(index), FEATURES), index)


class _Network(nn.Sequential):
    features = FEATURES


def _embedding(samples: int, suffix: str) -> Step:
    encoder = _Network(nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, FEATURES))

    def embed(rows: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = Output(Path(folder) / f"rows{suffix}")
            embed_to_file(output, encoder, {"train": _Drawn(rows)}, plan={}, embedding=HOW)  # type: ignore[arg-type]

    embed(BATCH)  # what is imported and made ready the first time
    return partial(embed, samples)


def _file(folder: Path, features: np.ndarray) -> None:
    """Write the file alone, of rows in memory, as its peer does."""
    samples = len(features)
    parts = parts_of({"train": samples}, features=WIDE, batch_size=BATCH)
    with atomic(folder / "rows.parquet") as temporary:
        write_table(temporary, _pieces(parts, features), {"train": _Drawn(samples)}, features=WIDE)


def _parts_and_file(folder: Path, features: np.ndarray) -> None:
    """Write all that `embed` writes: parts that a kill leaves whole, and the file."""
    samples = len(features)
    output = Output(folder / "rows.parquet", overwrite=True)
    output.folder.mkdir()
    parts = parts_of({"train": samples}, features=WIDE, batch_size=BATCH)
    for part, rows in _pieces(parts, features):
        output.write(part, rows)
    with atomic(output.path) as temporary:
        pieces = ((part, output.read(part, features=WIDE)) for part in parts)
        write_table(temporary, pieces, {"train": _Drawn(samples)}, features=WIDE)
    output.finish()


def _pieces(parts: Iterable[Part], features: np.ndarray) -> Iterator[tuple[Part, np.ndarray]]:
    return ((part, features[part.first : part.stop]) for part in parts)


def _wide(path: Path, features: np.ndarray) -> None:
    """Write what `embed` wrote before it had one column of vectors."""
    columns = {"split": ["train"] * len(features), "index": np.arange(len(features))}
    columns |= {f"embedding_{column}": features[:, column] for column in range(features.shape[1])}
    with atomic(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)
