"""Structural similarity of images at several scales, and the triplet loss of CIM that is made of it.

Images hold values in [0, data_range]; that is not checked. Gradients are exact and finite; second derivatives raise.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_above_0, wide_pair
from unconfound.functional.labels import whole_numbers
from unconfound.functional.pyramid import Negative, check_images, pyramid_of
from unconfound.functional.weighted_similarity import weighted_similarity


def ms_ssim(
    first: Float[Tensor, "batch channels height width"],
    second: Float[Tensor, "batch channels height width"],
    *,
    data_range: float = 1.0,
    window_size: int | None = None,
    scales: int | None = None,
    negative: Negative = "relu",
) -> Float[Tensor, " batch"]:
    """Compute the multi-scale structural similarity of each pair of images, 1 where they are equal.

    Wang et al. (Asilomar 2003), equation 7: the product over scales j of c_j^w_j, where c_j averages over all whole
    windows of a channel cs = (2 covariance + C2) / (variance + variance' + C2), at the last scale l x cs with
    l = (2 mean mean' + C1) / (mean^2 + mean'^2 + C1); C1 = (0.01 data_range)^2, C2 = (0.03 data_range)^2; Gaussian
    windows of deviation 1.5 pixels; between scales squares of 2 x 2 pixels are averaged. Channels are averaged last.
    `scales=1` is SSIM (Wang et al., IEEE TIP 2004), what `negative` does to values below 0 apart.

    The paper has five scales and an 11-pixel window, for photographs; its weights are taken as printed, as by
    pytorch-msssim and torchmetrics: they sum to 1.0001. Where we depart: smaller images get fewer scales, with the
    first weights divided by their sum, and a smaller window; an odd last row or column is left out of the
    average of squares, where others pad with zeros.

    Args:
        first: floating-point images, values in [0, data_range]; divide uint8 images by 255.
        second: what they are compared with. A gradient flows to both where both require it, which takes twice the time.
        data_range: the largest value a pixel can have, above 0.
        window_size: of the Gaussian window, odd, at least 3; None takes 7 where the shorter side is below 64, else 11.
        scales: 1 to 5; None takes as many of 5 as leave the shorter side of the last at least one window.
        negative: what becomes of a c_j below 0, which has no real power, and is common where images are unrelated.
            "relu" takes 0: the metric to report; such pairs have the value 0 and no gradient. "clamp" takes at least
            0.001: that scale has no gradient. "shift" takes (1 + c_j) / 2 of all: never without a gradient.

    Returns:
        One value a pair, in [0, 1].

    Raises:
        TypeError: images are not floating-point.
        ValueError: shapes differ, an option is out of its range, or the shorter side is too small for the window or for
            the scales asked for.
    """
    check_images("first", first)
    check_images("second", second)
    if first.shape != second.shape:
        raise ValueError(f"first and second must have equal shapes, got {tuple(first.shape)} and {tuple(second.shape)}")
    check_above_0(data_range=data_range)
    pyramid = pyramid_of(first, data_range, window_size, scales, negative)
    first, second = wide_pair(first, second)
    if second.requires_grad and not first.requires_grad:
        first, second = second, first
    with torch.autocast(first.device.type, enabled=False):
        index = torch.arange(len(first), device=first.device)[:, None]
        weights = first.new_ones(len(first), 1)
        values, _ = weighted_similarity(first, second, index, weights, pyramid)
        if second.requires_grad and torch.is_grad_enabled():
            # The similarity is symmetric: the other side's gradient is that with the sides exchanged.
            exchanged, _ = weighted_similarity(second, first, index, weights, pyramid)
            values = values + (exchanged - exchanged.detach())
        return values


class PerceptualTriplet(NamedTuple):
    """The triplet loss, and for the log the means over anchors of the similarities in it.

    Args:
        loss: 0 with the gradient 0 where no anchor counts.
        positive: mean similarity to the positives, without gradient; NaN where no anchor counts.
        negative: to the negatives.
        anchors: how many have both a positive and a negative: what the loss is a mean over.
    """

    loss: Float[Tensor, ""]
    positive: Float[Tensor, ""]
    negative: Float[Tensor, ""]
    anchors: Int[Tensor, ""]


def perceptual_triplet(
    morphed: Float[Tensor, "batch channels height width"],
    originals: Float[Tensor, "originals channels height width"],
    positive_index: Integer[Tensor, "batch positives"],
    negative_index: Integer[Tensor, "batch negatives"],
    *,
    direction: Literal["pull", "literal"] = "pull",
    negative: Negative = "shift",
    similarity: Literal["ms-ssim", "ssim", "l2"] = "ms-ssim",
    data_range: float = 1.0,
    window_size: int | None = None,
    scales: int | None = None,
) -> PerceptualTriplet:
    """Compute the triplet loss of CIM: how much more a morphed image looks like another class than like its own.

    Asgari Taghanaki et al., "Robust Representation Learning via Perceptual Similarity Metrics", ICML 2021, slides, the
    formula of L_con: S(morphed, positive) - S(morphed, negative), to be minimised. With S a similarity, this moves an
    image away from its own class: direction="literal". The default "pull", where we depart from it, is its negative,
    the ordinary triplet loss, which the formula is if MS stands for the dissimilarity 1 - MS-SSIM. There is no margin;
    the loss is in [-1, 1], for "l2" where values are in [0, data_range]. Partners are whole images, never morphed.

    The mean is over this process's anchors. Where processes hold different numbers of them, weight each process's loss
    by its `anchors` over their mean to have the gradient of one process that holds all.

    Windows of the originals are summed once, however often they are partners, and without gradient: memory and time
    beyond that grow with partners an anchor.

    Args:
        morphed: the anchors; values in [0, data_range].
        originals: images that partners are taken from, most often the batch before it was morphed. No gradient.
        positive_index: positions in `originals` of images of the anchor's class; -1 stands for none. An anchor's
            similarity to several is averaged. An anchor without any, or without any negative, does not count.
        negative_index: of images of other classes, likewise.
        direction: "pull" or "literal".
        negative: see `ms_ssim`; for "ms-ssim" and "ssim".
        similarity: "ms-ssim"; "ssim", its finest scale alone; or "l2", 1 - the mean squared difference of pixels
            divided by data_range squared.
        data_range: the largest value a pixel can have, above 0.
        window_size: see `ms_ssim`; for "ms-ssim" and "ssim".
        scales: see `ms_ssim`; for "ms-ssim".

    Raises:
        TypeError: images are not floating-point, or positions not integers.
        ValueError: shapes do not go together, an option is out of its range or does not belong to the similarity, the
            shorter side is too small, or (found on the CPU alone) a position is not in [-1, originals).
    """
    positive_index, negative_index = _check_triplet(morphed, originals, positive_index, negative_index)
    if direction not in ("pull", "literal"):
        raise ValueError(f"direction must be pull or literal, got {direction!r}")
    if similarity not in ("ms-ssim", "ssim", "l2"):
        raise ValueError(f"similarity must be ms-ssim, ssim or l2, got {similarity!r}")
    if similarity != "ms-ssim" and scales is not None:
        raise ValueError(f"scales={scales} is for similarity ms-ssim, got {similarity}: leave scales out")
    if similarity == "l2" and window_size is not None:
        raise ValueError(f"window_size={window_size} is for ms-ssim and ssim, got similarity l2: leave it out")
    check_above_0(data_range=data_range)
    pyramid = None
    if similarity != "l2":
        pyramid = pyramid_of(morphed, data_range, window_size, 1 if similarity == "ssim" else scales, negative)
    morphed, originals = wide_pair(morphed, originals.detach())
    with torch.autocast(morphed.device.type, enabled=False):
        there = [index >= 0 for index in (positive_index, negative_index)]
        counts = there[0].any(1) & there[1].any(1)
        anchors = counts.sum()
        # The weight of each similarity in the mean over anchors of the mean over their positives, or negatives.
        shares = [
            (each & counts[:, None]).to(morphed) / each.sum(1, keepdim=True).clamp_min(1) / anchors.clamp_min(1)
            for each in there
        ]
        sign = 1 if direction == "literal" else -1
        weights = torch.cat([sign * shares[0], -sign * shares[1]], 1)
        index = torch.cat([positive_index, negative_index], 1).clamp_min(0)
        if pyramid is None:
            sums, similarities = _weighted_l2(morphed, originals, index, weights, data_range)
        else:
            sums, similarities = weighted_similarity(morphed, originals, index, weights, pyramid)
        own, other = similarities.split([each.shape[1] for each in there], 1)
        undefined = torch.where(anchors > 0, 0.0, math.nan)
        return PerceptualTriplet(
            sums.sum(), (own * shares[0]).sum() + undefined, (other * shares[1]).sum() + undefined, anchors
        )


def _weighted_l2(
    morphed: Tensor, originals: Tensor, index: Tensor, weights: Tensor, data_range: float
) -> tuple[Tensor, Tensor]:
    partners = [(morphed - originals[position]).div(data_range).square().mean((1, 2, 3)) for position in index.T]
    similarities = 1 - torch.stack(partners, 1)
    return (similarities * weights).sum(1), similarities.detach()


def _check_triplet(
    morphed: Tensor, originals: Tensor, positive_index: Tensor, negative_index: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the positions as int64."""
    check_images("morphed", morphed)
    check_images("originals", originals)
    if morphed.shape[1:] != originals.shape[1:]:
        raise ValueError(
            "morphed and originals must have equal channels, heights and widths, "
            f"got {tuple(morphed.shape[1:])} and {tuple(originals.shape[1:])}"
        )
    checked = []
    for name, given in (("positive_index", positive_index), ("negative_index", negative_index)):
        index = whole_numbers(name, given)
        if index.dim() != 2 or len(index) != len(morphed) or index.shape[1] == 0:
            raise ValueError(
                f"{name} must be [{len(morphed)}, count] with a count of at least 1, got {tuple(index.shape)}: "
                "-1 stands for no partner"
            )
        # Elsewhere the device's own check does it: reading the values here would wait for them.
        if index.device.type == "cpu" and (int(index.min()) < -1 or int(index.max()) >= len(originals)):
            wrong = index[(index < -1) | (index >= len(originals))][0].item()
            raise ValueError(f"{name} must be -1 for no partner or below {len(originals)}, the originals, got {wrong}")
        checked.append(index)
    return checked[0], checked[1]
