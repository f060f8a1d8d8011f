"""The embeddings of a source, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import Batch, Source
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.devices import autocast, choose_device, choose_precision
from unconfound.encoders.apply import over_source
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.encoder_call import rows_of
from unconfound.options.training import Precision

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
            unknown, the encoder does not take the inputs or gives something other than [batch, features], or an
            embedding is not finite.
    """
    if batch_size < 1:
        raise ValueError(f"batch size {batch_size} is not positive; give at least 1")
    check_some(source)
    device = choose_device(device)
    chosen = choose_precision(precision, device)
    order = positions(len(source), lengths_of(source)).split(batch_size)
    task = None if progress is None else progress.add_task(f"embed {source.name}", total=len(source))
    found: list[tuple[Tensor, Tensor, Tensor | None, Tensor | None]] = []

    def keep(rows: Tensor, batch: Batch) -> None:
        found.append((rows, batch.index, batch.labels, batch.groups))
        if progress is not None and task is not None:
            progress.advance(task, len(batch))

    embed_batches(encoder, source, order, keep, device=device, precision=chosen)
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
    embeddings.check_finite(of=source.name, remedy=not_finite_remedy(chosen))
    return embeddings


def embed_batches(
    encoder: EncoderFunction,
    source: Source,
    order: Iterable[Int[Tensor, " batch"]],
    take: Callable[[Float[Tensor, "batch features"], Batch], None],
    *,
    device: str,
    precision: Precision,
) -> None:
    """Embed a source batch by batch and hand on the rows of each, so that memory need not grow with their number.

    Args:
        encoder, source: as `embed` has them.
        order: the positions of each batch.
        take: is handed the embeddings of each batch, float32 and on the CPU, and the batch. What it raises ends all.
        device, precision: as `choose_device` and `choose_precision` return them.

    Raises:
        ValueError: the encoder gives something other than [batch, features].
    """

    def one(batch: Batch, inputs: Any) -> None:
        take(rows_of(encoder, inputs).float().cpu(), batch)

    with torch.inference_mode(), autocast(device, precision):
        over_source(encoder, one, source, order, device=device)


def check_some(source: Source) -> None:
    """Refuse a source without samples.

    Raises:
        ValueError: there are none.
    """
    if len(source) == 0:
        raise ValueError(f"{source.name} holds no samples, so there is nothing to embed")


def positions(
    stop: int, lengths: Int[Tensor, " samples"] | None = None, *, start: int = 0
) -> Int[Tensor, " positions"]:
    """Return the positions from `start` to `stop`, those of the longest sequences first.

    Then little of a batch is padding, and what does not fit in memory fails at once.
    """
    if lengths is None:
        return torch.arange(start, stop)
    return start + lengths[start:stop].argsort(descending=True, stable=True)


def lengths_of(source: Source) -> Int[Tensor, " samples"] | None:
    """Return the length of each sequence of a source; None where its samples are no sequences."""
    if isinstance(source, Subset):
        lengths = lengths_of(source.base)
        return None if lengths is None else lengths[source.positions]
    return source.lengths if isinstance(source, SequenceSource) else None


def not_finite_remedy(precision: Precision) -> str:
    """Say what to do about embeddings that are not finite."""
    return f"try {'precision 32 or ' if precision != '32' else ''}another checkpoint, and look for NaN in the inputs"


def _joined(parts: Sequence[Tensor | None], order: Int[Tensor, " samples"]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given)[order] if given else None
