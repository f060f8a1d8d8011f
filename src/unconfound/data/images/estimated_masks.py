"""Data sets of images without masks get estimated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.mask_examples import MaskExamples
from unconfound.data.core.source import Dataset, Source
from unconfound.data.images.found_masks import Masks, with_found_masks
from unconfound.data.images.mask_verdict import Segment, compare_estimates, estimated
from unconfound.functional.foregrounds.border_distance import estimate_masks

# So many training images are looked at before masks are estimated.
LOOKED_AT = 512
# So many of them are kept, to be shown.
EXAMPLES = 12


def with_estimated_masks(
    dataset: Dataset,
    *,
    instead: bool = False,
    segment: Segment | None = None,
    origin: str = "estimated from the images",
) -> Dataset:
    """Estimate the masks of all images of a data set, if its training images show that they can be relied on.

    The verdict is made on up to 512 evenly spaced training images. `Dataset.mask_note` has it, and the notes of the
    training part; `Dataset.mask_examples` has the masks of 12 of these images. Masks that a data set has are kept, and
    the verdict then says how well estimates agree with them.

    Args:
        dataset: images.
        instead: estimate the masks of the training and validation images even where these have masks, which are then
            hidden from all that trains. Test sets keep theirs, so that figures are those of the true foregrounds.
        segment: estimates the masks; by default `estimate_masks`.
        origin: where the masks come from, in the words of the note.

    Returns:
        The data set with masks; without any where estimates are useless.

    Raises:
        ValueError: the data are no images.
    """
    train = dataset.train
    if train.schema.modality != "images":
        raise ValueError(f"{train.name} holds {train.schema.modality}: masks are estimated of images only")
    if len(train) < 2:
        return _noted(dataset, "no masks are estimated: a verdict on them needs two training images or more")
    step = -(-len(train) // LOOKED_AT)
    batch = next(iter(train.batches([torch.arange(0, len(train), step)])))
    assert isinstance(batch.inputs, Tensor)
    verdict = compare_estimates(batch.inputs, batch.masks, segment=segment)
    estimate: Segment = segment or estimate_masks
    dataset = replace(dataset, mask_examples=_examples(batch, train.names, estimate))
    parts = [train, *dataset.tests.values(), *([] if dataset.validation is None else [dataset.validation])]
    given = any(_has_masks(part) for part in parts)
    if given and not instead:
        return _noted(dataset, f"the masks that come with the data are kept; {verdict}")
    if not verdict.usable and not given:
        return _noted(dataset, f"{verdict}; the data stay without masks")

    def found(images: Tensor, _masks: Masks | None) -> Masks | None:
        return estimated(images, estimate) if verdict.usable else None

    masked = with_found_masks(dataset, found, tests=not given)
    if not given:
        return _noted(masked, f"all masks are {origin}; {verdict}")
    return _noted(
        masked,
        f"the masks that come with the training images are hidden; {verdict}; "
        f"{f'those {origin} take their place' if verdict.usable else 'training has no masks'}",
    )


def _examples(batch: Batch, names: Sequence[str] | None, estimate: Segment) -> MaskExamples:
    """Keep some evenly spaced images of a batch."""
    assert isinstance(batch.inputs, Tensor)
    chosen = torch.linspace(0, len(batch.index) - 1, min(EXAMPLES, len(batch.index))).round().long()
    images, places = batch.inputs[chosen], batch.index[chosen].tolist()
    return MaskExamples(
        images,
        torch.full_like(chosen, -1) if batch.labels is None else batch.labels[chosen],
        tuple(f"sample {place}" if names is None else str(names[place]) for place in places),
        estimated(images, estimate),
        None if batch.masks is None else batch.masks[chosen],
    )


def _noted(dataset: Dataset, note: str) -> Dataset:
    dataset.train.notes = (*dataset.train.notes, note)
    return replace(dataset, mask_note=note)


def _has_masks(source: Source) -> bool:
    if len(source) == 0:
        return False
    return next(iter(source.batches([torch.zeros(1, dtype=torch.long)]))).masks is not None
