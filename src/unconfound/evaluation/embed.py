"""The embeddings of a source, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import Batch, Source
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.devices import autocast, choose_device, choose_precision
from unconfound.encoders.apply import over_source
from unconfound.evaluation.embeddings import Embeddings

# From the inputs of a batch: a tensor, Graphs or Sequences.
EncoderFunction = Callable[[Any], Tensor]


def embed(
    encoder: EncoderFunction,
    source: Source,
    *,
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    precision: str = "32",
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every sample of a source, in its order.

    Sequences are taken in the order of their lengths, so that little of a batch is padding.

    A module is moved to `device` and put in evaluation mode for the time being; afterwards its device, its modes,
    parameters and buffers are what they were.

    Args:
        encoder: any module or function that turns a batch of the source's inputs (images: uint8, or float in [0, 1];
            Graphs; Sequences) into [batch, features].
        source: the samples.
        batch_size: samples a pass through the encoder.
        device: where the encoder runs: "auto" (the best one here), "cpu", "cuda", "cuda:N" or "mps".
        precision: "32", "bf16", "16", or "auto" (bf16 where the hardware gains from it). Features are float32 in any
            case.
        progress: where a bar is shown.

    Raises:
        ValueError: the source is empty, the batch size is not positive, the device is not here, the precision is
            unknown, the encoder gives something other than [batch, features], or an embedding is not finite.
    """
    if batch_size < 1:
        raise ValueError(f"batch size {batch_size} is not positive; give at least 1")
    if len(source) == 0:
        raise ValueError(f"{source.name} holds no samples, so there is nothing to embed")
    device = choose_device(device)
    chosen = choose_precision(precision, device)
    order = _order(source).split(batch_size)
    task = None if progress is None else progress.add_task(f"embed {source.name}", total=len(source))

    def one(batch: Batch, inputs: Any) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        rows = encoder(inputs)
        if not isinstance(rows, Tensor) or rows.dim() != 2 or len(rows) != len(batch):
            got = list(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise ValueError(
                f"the encoder gave {got} for {len(batch)} samples, but [{len(batch)}, features] is needed; "
                "pool or flatten its output"
            )
        if progress is not None and task is not None:
            progress.advance(task, len(batch))
        return rows.float().cpu(), batch.index, batch.labels, batch.groups

    with torch.inference_mode(), autocast(device, chosen):
        found = over_source(encoder, one, source, order, device=device)
    features, index, labels, groups = zip(*found, strict=True)
    # Joined outside of inference mode, so that the result may take part in autograd like any other tensor.
    ascending = torch.cat(index).argsort()
    embeddings = Embeddings(
        features=torch.cat(features)[ascending],
        index=torch.cat(index)[ascending],
        labels=_joined(labels, ascending),
        groups=_joined(groups, ascending),
        names=None if source.names is None else list(source.names),
    )
    remedy = "precision 32 or " if chosen != "32" else ""
    embeddings.check_finite(of=source.name, remedy=f"try {remedy}another checkpoint, and look for NaN in the inputs")
    return embeddings


def _order(source: Source) -> Int[Tensor, " samples"]:
    lengths = _lengths(source)
    # The longest first: what does not fit in memory fails at once.
    return torch.arange(len(source)) if lengths is None else lengths.argsort(descending=True)


def _lengths(source: Source) -> Int[Tensor, " samples"] | None:
    if isinstance(source, Subset):
        lengths = _lengths(source.base)
        return None if lengths is None else lengths[source.positions]
    return source.lengths if isinstance(source, SequenceSource) else None


def _joined(parts: Sequence[Tensor | None], order: Int[Tensor, " samples"]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given)[order] if given else None
