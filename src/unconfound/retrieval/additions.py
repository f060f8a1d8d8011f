"""The rows that data add to an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import torch
from rich.progress import Progress

from unconfound.data.core.subset import Subset
from unconfound.encoders import Encoder
from unconfound.evaluation.embed import embed
from unconfound.functional.similarity import normalize
from unconfound.retrieval.reading import Split
from unconfound.retrieval.shards import ITEMS, Piece


def embedded_pieces(
    encoder: Encoder,
    parts: Sequence[Split],
    *,
    origin: int,
    rows: int,
    batch_size: int,
    device: str | torch.device,
    precision: str,
    progress: Progress | None,
) -> Iterator[Piece]:
    """Embed data, so many samples at a time that memory does not grow with the data.

    Args:
        encoder: of the index.
        parts: the splits of the data.
        origin: the place of the data in the index's list.
        rows: samples a piece.
        batch_size: samples a pass through the encoder.
        device: where it runs.
        precision: as `embed` has it.
        progress: where a bar is shown for each piece.

    Raises:
        ValueError: an embedding is not finite.
    """
    for part in parts:
        for positions in torch.arange(len(part.source)).split(rows):
            embedded = embed(
                encoder,
                Subset(part.source, positions),
                batch_size=batch_size,
                device=device,
                precision=precision,
                progress=progress,
            )
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
