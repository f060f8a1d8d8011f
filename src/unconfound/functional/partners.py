"""Which images of a batch an anchor is compared with."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_at_least_1
from unconfound.functional.labels import whole_numbers


def class_partners(
    labels: Integer[Tensor, " anchors"], others: Integer[Tensor, " others"], *, first: int = 0
) -> tuple[Bool[Tensor, "anchors others"], Bool[Tensor, "anchors others"]]:
    """Say which images may be an anchor's positives, those of its class but itself, and which its negatives, the rest.

    Args:
        labels: of the anchors.
        others: labels of all images, the anchors among them.
        first: position of the first anchor among them; the others follow it in order.

    Raises:
        TypeError: labels are not integers.
    """
    labels, others = whole_numbers("labels", labels), whole_numbers("others", others)
    same = labels[:, None] == others
    oneself = torch.arange(len(others), device=others.device) == (
        first + torch.arange(len(labels), device=labels.device)[:, None]
    )
    return same & ~oneself, ~same


def draw_partners(
    scores: Float[Tensor, "anchors others"], allowed: Bool[Tensor, "anchors others"], *, count: int
) -> Int[Tensor, "anchors count"]:
    """Take the allowed images of the highest scores: without repetition, and uniformly where scores are random.

    Args:
        scores: finite.
        allowed: which images an anchor may have.
        count: partners an anchor. Where fewer are allowed the rest is -1.

    Raises:
        ValueError: a count below 1.
    """
    check_at_least_1(count=count)
    kept = min(count, scores.shape[1])
    found = scores.masked_fill(~allowed, -torch.inf).topk(kept, dim=1)
    chosen = found.indices.masked_fill(found.values == -torch.inf, -1)
    return torch.nn.functional.pad(chosen, (0, count - kept), value=-1)
