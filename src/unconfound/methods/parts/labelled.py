"""What the methods share that learn from labels, and from groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from unconfound.data import Batch, Schema, Source
from unconfound.functional.inputs import wide


def need_classes(schema: Schema, *, method: str) -> None:
    """Refuse data of fewer than two classes.

    Raises:
        ValueError: says how many there are.
    """
    if len(schema.classes) < 2:
        raise ValueError(
            f"{method} needs at least two classes, the data have {len(schema.classes)}: "
            "give labels (class folders, --label), or train simclr, which needs none"
        )


def check_groups(schema: Schema, *, method: str) -> None:
    """Refuse data of fewer than two groups.

    Raises:
        ValueError: says how many there are.
    """
    if len(schema.groups) < 2:
        raise ValueError(
            f"{method} needs the groups of samples, at least two, the data have {len(schema.groups)}: "
            "give groups (--group), or train jtt, which needs none"
        )


def labels_of(batch: Batch, *, method: str) -> Int[Tensor, " batch"]:
    """Return the labels of a batch.

    Raises:
        ValueError: it has none.
    """
    if batch.labels is None:
        raise ValueError(f"{method} needs labels, this batch has none")
    return batch.labels


def groups_of(batch: Batch, *, method: str) -> Int[Tensor, " batch"]:
    """Return the groups of a batch.

    Raises:
        ValueError: it has none.
    """
    if batch.groups is None:
        raise ValueError(f"{method} needs the groups of samples, this batch has none")
    return batch.groups


def source_groups(source: Source, *, method: str) -> Int[Tensor, " samples"]:
    """Return the group of every sample of a source.

    Raises:
        ValueError: the source has no groups, or a sample has none (-1) or an unknown one.
    """
    count = len(source.schema.groups)
    if source.groups is None:
        raise ValueError(f"{method} needs the groups of samples, {source.name} has none: give groups (--group)")
    outside = int(((source.groups < 0) | (source.groups >= count)).sum())
    if outside:
        raise ValueError(
            f"{method} needs the group of every sample, {outside:,} of {len(source):,} samples of {source.name} have "
            f"none of the {count} groups: leave them out"
        )
    return source.groups


def balanced_weights(values: Int[Tensor, " samples"]) -> Float[Tensor, " samples"]:
    """Return how often to draw each sample so that all values (classes, groups) that occur come equally often."""
    _, kinds, sizes = torch.unique(values, return_inverse=True, return_counts=True)
    weights: Tensor = sizes.double().reciprocal()[kinds]
    return weights


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], *, label_smoothing: float = 0.0
) -> Float[Tensor, " batch"]:
    """Compute each sample's cross-entropy, in float32 or better."""
    losses: Tensor = F.cross_entropy(wide(logits), labels, reduction="none", label_smoothing=label_smoothing)
    return losses


def logged_by_name(prefix: str, names: Sequence[str], values: Float[Tensor, " names"]) -> dict[str, Tensor]:
    """Name up to 20 numbers for the log, no more: each is a column there, and a mean that takes time in every step."""
    return {f"{prefix}_{name}": value for name, value in zip(names, values, strict=True)} if len(names) <= 20 else {}
