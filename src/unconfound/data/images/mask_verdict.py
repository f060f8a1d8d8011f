"""Whether masks that were estimated from the images of a data set can be relied on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.foregrounds.border_distance import estimate_masks
from unconfound.functional.foregrounds.colour_frequency import estimate_masks_by_frequency
from unconfound.functional.foregrounds.overlap import intersection_over_union

Images = UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"]
# Images -> their masks; the same image has the same mask in any batch.
Segment = Callable[[Images], Bool[Tensor, "batch 1 height width"]]

# Images at a time: their intermediate values fit into a processor's cache.
AT_A_TIME = 64
# A mask of so small or so large a share of its image is as good as none.
_EMPTY, _FULL = 0.005, 0.95
# At most so many masks may be empty or full, and so much agreement must go beyond that of masks of different images:
# it is at most 0.05 where there is no object, and 0.24 on digits of 32 pixels, whose masks train as well as exact ones.
_MOST_USELESS, _LEAST_AGREEMENT = 0.5, 0.15


@dataclass(frozen=True, kw_only=True)
class MaskVerdict:
    """What is known of estimated masks.

    Args:
        images: how many were looked at.
        empty: share of the masks with at most 0.5 % of their image.
        full: share of the masks with at least 95 % of their image.
        agreement: mean intersection over union of two independent estimates of the same image.
        by_chance: the same of estimates of two different images, which agree where both favour the centre.
        truth: mean intersection over union with the true masks, or None where they are not known.
    """

    images: int
    empty: float
    full: float
    agreement: float
    by_chance: float
    truth: float | None = None

    @property
    def beyond_chance(self) -> float:
        """Return the agreement on a scale on which that by chance is 0 and complete agreement is 1."""
        return (self.agreement - self.by_chance) / (1 - self.by_chance) if self.by_chance < 1 else 0.0

    @property
    def usable(self) -> bool:
        """Say whether most masks show something, and the two estimates agree clearly more often than by chance."""
        return self.empty + self.full <= _MOST_USELESS and self.beyond_chance >= _LEAST_AGREEMENT

    def __str__(self) -> str:
        """Return the verdict and its reasons as one sentence."""
        reasons = (
            f"two estimates of {self.images:,} images agree by {self.agreement:.2f} (mean intersection over union; "
            f"{self.by_chance:.2f} between different images), {self.empty:.0%} show next to nothing and "
            f"{self.full:.0%} next to everything"
        )
        if self.truth is not None:
            reasons += f"; with the true masks they agree by {self.truth:.2f}"
        return f"estimated masks are {'usable' if self.usable else 'useless'} here: {reasons}"


def compare_estimates(
    images: UInt8[Tensor, "images channels height width"] | Float[Tensor, "images channels height width"],
    truth: Bool[Tensor, "images 1 height width"] | None = None,
    *,
    segment: Segment | None = None,
) -> MaskVerdict:
    """Estimate the masks of some images in two ways, and say whether they can be relied on.

    Args:
        images: some hundreds, drawn from all classes.
        truth: their true masks, where they are known.
        segment: finds the masks, which `estimate_masks` then estimates again; by default that finds them, and
            `estimate_masks_by_frequency` estimates them again.

    Raises:
        TypeError, ValueError: as in `estimate_masks`, or fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"a verdict on masks needs two images or more, got {len(images)}")
    first: Segment = segment or estimate_masks
    second: Segment = estimate_masks_by_frequency if segment is None else estimate_masks
    masks, others = estimated(images, first), estimated(images, second)
    shares = masks.flatten(1).double().mean(1)

    def overlap(second: Tensor) -> float:
        return float(intersection_over_union(masks, second).double().mean())

    return MaskVerdict(
        images=len(images),
        empty=float((shares <= _EMPTY).double().mean()),
        full=float((shares >= _FULL).double().mean()),
        agreement=overlap(others),
        # Neighbours in a folder are of one class, and alike.
        by_chance=overlap(others.roll(len(others) // 2, 0)),
        truth=None if truth is None else overlap(truth),
    )


def estimated(
    images: UInt8[Tensor, "images channels height width"] | Float[Tensor, "images channels height width"],
    segment: Segment = estimate_masks,
) -> Bool[Tensor, "images 1 height width"]:
    """Return the masks that `segment` finds, a few images at a time."""
    return torch.cat([segment(part) for part in torch.split(images, AT_A_TIME)])
