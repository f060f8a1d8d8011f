"""Embeddings written to a file as they come, by one process or several, to be gone on with after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float, Float32
from rich.progress import Progress
from torch import Tensor

from unconfound.data import Batch, Source
from unconfound.encoders import Encoder
from unconfound.evaluation.embed import check_some, embed_batches, lengths_of, not_finite_remedy, positions
from unconfound.evaluation.embedding_parts import Output, Part, parts_of
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.joined_parts import NamedClassifier, write_array, write_table
from unconfound.files import atomic
from unconfound.functional.distributed import world
from unconfound.lock import alone_in
from unconfound.options.embedding import EmbeddingOptions


@dataclass(frozen=True)
class WrittenEmbeddings:
    """Embeddings in a file.

    Args:
        path: of the file.
        samples: number of each split, in the order of the rows.
        features: width of an embedding.
    """

    path: Path
    samples: Mapping[str, int]
    features: int

    def __len__(self) -> int:
        return sum(self.samples.values())


@final
class _PartWriter:
    """Puts the rows of batches into the parts that they belong to, and writes each part once it is whole.

    Args:
        output: where.
        parts: of one split, in the order in which their batches come.
        source: their samples.
        features: width of an embedding.
        remedy: what to do about an embedding that is not finite.
    """

    def __init__(self, output: Output, parts: Sequence[Part], source: Source, *, features: int, remedy: str) -> None:
        self.output, self.source, self.features, self.remedy = output, source, features, remedy
        self.waiting = list(reversed(parts))
        self.missing = 0

    def take(self, rows: Float[Tensor, "batch features"], batch: Batch) -> None:
        part = self.waiting[-1]
        if not self.missing:
            self.rows, self.missing = torch.empty(len(part), self.features), len(part)
        self.rows[batch.index - part.first] = rows
        self.missing -= len(rows)
        if not self.missing:
            self._check_finite(part)
            self.output.write(part, self.rows.numpy())
            self.waiting.pop()

    def _check_finite(self, part: Part) -> None:
        index = range(part.first, part.stop)
        names = None if self.source.names is None else [self.source.names[each] for each in index]
        embeddings = Embeddings(features=self.rows, index=torch.arange(part.first, part.stop), names=names)
        embeddings.check_finite(of=self.source.name, remedy=self.remedy)


def embed_to_file(
    output: Output,
    encoder: Encoder,
    sources: Mapping[str, Source],
    *,
    plan: Mapping[str, Any],
    embedding: EmbeddingOptions,
    classifier: NamedClassifier | None = None,
    after_batch: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> WrittenEmbeddings:
    """Embed splits and write them to one file, one split after the other, rows in the order of the samples.

    The rows come in parts of some batches, in a folder beside the file. At the end they become the file and are
    removed. So memory holds one part, and a kill loses one. Inside of a part sequences are embedded in the order of
    their lengths. The processes of a group share the parts; the first of them writes the file. The batches are the same
    in any number of processes, and after any number of kills.

    Args:
        output: where.
        encoder: of the run.
        sources: by split.
        plan: what the embeddings depend on besides the numbers of samples, as JSON values: parts that were begun are
            gone on with only where it is the same.
        embedding: how samples are embedded, device and precision settled.
        classifier: whose predictions a Parquet file holds, too.
        after_batch: is called after each batch, and ends the whole by what it raises.
        progress: where one bar over all splits is shown.

    Raises:
        ValueError: a split is empty, an embedding is not finite, the file or parts are there already, the parts are of
            something else or damaged, or another process is at work there.
    """
    for source in sources.values():
        check_some(source)
    rank, processes = world()
    samples = {split: len(source) for split, source in sources.items()}
    features = int(encoder.features)
    parts = parts_of(samples, features=features, batch_size=embedding.batch_size)
    with alone_in(output.folder, output.check) if rank == 0 else nullcontext():
        if rank == 0:
            output.start({**plan, "samples": samples, "batch_size": embedding.batch_size})
        _wait_for_all()
        missing = [part for part in parts if not output.has(part)]
        _wait_for_all()  # nobody writes before all have looked
        own = missing[rank::processes]
        task = None
        if progress is not None:
            share = f", process {rank + 1} of {processes}" if processes > 1 else ""
            done = sum(map(len, parts)) - sum(map(len, missing)) if processes == 1 else 0
            total = done + sum(map(len, own))
            task = progress.add_task(f"embed{share}", total=total, completed=done, unit="samples")

        def tell(batch: Batch) -> None:
            if progress is not None and task is not None:
                progress.advance(task, len(batch))
            after_batch()

        for split, source in sources.items():
            theirs = [part for part in own if part.split == split]
            if theirs:
                _embed_parts(output, encoder, source, theirs, embedding=embedding, tell=tell)
        _wait_for_all()
        if rank == 0:
            _join(output, parts, sources, features=features, classifier=classifier, after_part=after_batch)
        _wait_for_all()
    return WrittenEmbeddings(output.path, samples, features)


def _embed_parts(
    output: Output,
    encoder: Encoder,
    source: Source,
    parts: Sequence[Part],
    *,
    embedding: EmbeddingOptions,
    tell: Callable[[Batch], None],
) -> None:
    """Embed parts of one split, in one pass, so that processes that read ahead are started once."""
    precision = embedding.precision
    writer = _PartWriter(output, parts, source, features=int(encoder.features), remedy=not_finite_remedy(precision))
    lengths = lengths_of(source)

    def order() -> Iterator[Tensor]:
        for part in parts:
            yield from positions(part.stop, lengths, start=part.first).split(embedding.batch_size)

    def take(rows: Tensor, batch: Batch) -> None:
        writer.take(rows, batch)
        tell(batch)

    embed_batches(encoder, source, order(), take, device=embedding.device, precision=precision)


def _join(
    output: Output,
    parts: Sequence[Part],
    sources: Mapping[str, Source],
    *,
    features: int,
    classifier: NamedClassifier | None,
    after_part: Callable[[], None],
) -> None:
    """Write the file and remove the parts."""

    def read(part: Part) -> Float32[np.ndarray, "rows features"]:
        after_part()
        return output.read(part, features=features)

    with atomic(output.path) as temporary:
        if output.path.suffix == ".npy":
            write_array(temporary, map(read, parts), samples=sum(map(len, parts)), features=features)
        else:
            pieces = ((part, read(part)) for part in parts)
            write_table(temporary, pieces, sources, features=features, classifier=classifier)
    output.finish()


def _wait_for_all() -> None:
    if world()[1] > 1:
        dist.barrier()
