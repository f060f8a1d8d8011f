"""Data sets whose masks are wrong by some pixels, with masks that are put right by the colours of the images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.images.estimated_masks import LOOKED_AT
from unconfound.data.images.found_masks import Masks, with_found_masks
from unconfound.data.images.mask_verdict import AT_A_TIME
from unconfound.functional.foregrounds.overlap import intersection_over_union
from unconfound.functional.foregrounds.refinement import refine_masks


def with_refined_masks(dataset: Dataset, *, wrong_by: int) -> Dataset:
    """Refine the masks of all images by their colours, as `refine_masks` says.

    Test sets on exchanged backgrounds were made from their masks already, and stay as they are. A note of the training
    part says how much was changed. `Dataset.mask_examples` shows refined estimates.

    Args:
        dataset: images with masks.
        wrong_by: the largest number of pixels by which a mask may be wrong, 1 or more.

    Raises:
        ValueError: the data are no images, or have no masks.
    """
    train = dataset.train
    if train.schema.modality != "images":
        raise ValueError(f"{train.name} holds {train.schema.modality}: only images have masks to refine")

    def found(images: Tensor, masks: Masks | None) -> Masks | None:
        if masks is None:
            return None
        parts = zip(torch.split(images, AT_A_TIME), torch.split(masks, AT_A_TIME), strict=True)
        return torch.cat([refine_masks(*part, wrong_by=wrong_by) for part in parts])

    step = -(-len(train) // LOOKED_AT)
    some = next(iter(train.batches([torch.arange(0, len(train), step)])))
    if some.masks is None:
        # Estimates that are useless have been told already.
        if dataset.mask_note:
            return dataset
        raise ValueError(
            f"refine_masks {wrong_by} refines masks, and {train.name} has none: name their folder with --masks, or "
            "have them estimated (--masks estimate)"
        )
    refined = with_found_masks(dataset, found, tests="mixed-rand" not in dataset.tests)
    if (examples := dataset.mask_examples) is not None:
        estimates = found(examples.images, examples.estimates)
        assert estimates is not None
        refined = replace(refined, mask_examples=replace(examples, estimates=estimates))
    kept = intersection_over_union(found(some.inputs, some.masks), some.masks).mean()  # type: ignore[arg-type]
    refined.train.notes = (
        *refined.train.notes,
        f"masks are refined by colour within {wrong_by} pixels of their edges; refined and given masks of "
        f"{len(some.masks)} images agree by {kept:.2f} (mean intersection over union)",
    )
    return refined
