"""A validation part of the training samples: for choosing between candidates, never trained on, never a test set."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset, origin
from unconfound.data.divide.splits import train_test_indices


def with_validation(dataset: Dataset, share: float, *, seed: int, by_group: bool = False) -> Dataset:
    """Set a share of the labelled training samples aside, each class in the same proportion.

    Where all training samples are unlabelled, the share is drawn from all; where some are, the unlabelled ones stay in
    training. Of every class of two or more samples, one at least stays on either side.

    Args:
        dataset: whose own validation part, if any, is replaced.
        share: in (0, 1).
        seed: of the draw.
        by_group: take each class in the same proportion in every group, too. Where groups are domains this is how
            they are validated on; groups that no one is to know of must not decide on the draw.

    Raises:
        ValueError: the share is out of its range or takes no sample, or it cannot be told which of the training samples
            the labelled ones are.
    """
    labelled = dataset.train if dataset.labelled is None else dataset.labelled
    kind = labelled.labels
    if by_group and kind is not None and labelled.groups is not None:
        kind = torch.where(kind < 0, kind, kind + len(labelled.schema.classes) * (labelled.groups + 1))
    kept, held = train_test_indices(len(labelled), kind, share, seed)
    if not share > 0 or not len(held):
        raise ValueError(
            f"validation_share is {share} of {len(labelled):,} training samples, which leaves none to validate on: "
            "raise it, or use more samples"
        )
    proportion = f"{share:.0%} of each class{' in each group' if by_group else ''}"
    note = (
        f"{len(held):,} of {len(labelled):,} training samples, {proportion}, are set aside for validation (seed {seed})"
    )
    validation = Subset(labelled, held, name=f"{dataset.train.name} validation")
    foreground = dataset.train_foreground and Subset(dataset.train_foreground, kept)
    if labelled is dataset.train:
        train: Source = Subset(labelled, kept, notes=(*dataset.train.notes, note))
        learnt = None if dataset.labelled is None else train
    else:
        rest = (~_shared(dataset.train, validation)).nonzero().squeeze(1)
        train = Subset(dataset.train, rest, notes=(*dataset.train.notes, note))
        learnt = Subset(labelled, kept, notes=labelled.notes)
    return replace(dataset, train=train, labelled=learnt, train_foreground=foreground, validation=validation)


def _shared(source: Source, part: Source) -> Bool[Tensor, " samples"]:
    """Say which samples of a source are also in a part."""
    (base, places), (other, taken) = origin(source), origin(part)
    if base is not other:
        raise ValueError(
            f"{part.name} cannot be taken out of {source.name}, which holds other samples: leave validation_share out"
        )
    return torch.isin(places, taken)
