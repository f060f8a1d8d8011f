"""What holds up over groups or environments: group DRO's weights and the invariance penalty of IRM.

`groups` may as well be environments, or training domains: one index a sample. All functions act on the batch that they
are given. Where a batch is spread over processes, gather losses (or logits), labels and groups first.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_at_least_0, check_floating, check_tensor, wide
from unconfound.functional.labels import check_classes, check_labels


def group_losses(
    losses: Float[Tensor, " batch"], groups: Integer[Tensor, " batch"], *, count: int
) -> tuple[Float[Tensor, " groups"], Int[Tensor, " groups"]]:
    """Average losses over the samples of each group.

    Args:
        losses: of each sample.
        groups: of each sample, from 0 to count - 1.
        count: of the groups.

    Returns:
        The mean loss of each group, 0 for a group without a sample in this batch; and the samples of each.

    Raises:
        TypeError: losses are not floating-point, or groups not integers.
        ValueError: there is not one group a sample, or (found on the CPU alone) a group is out of range.
    """
    check_floating("losses", losses)
    return _means(losses, check_labels(groups, rows=len(losses), count=count, name="groups"), count)


@torch.no_grad()
def update_group_weights(
    weights: Float[Tensor, " groups"],
    losses: Float[Tensor, " groups"],
    *,
    step_size: float,
    adjustment: Float[Tensor, " groups"] | None = None,
) -> Float[Tensor, " groups"]:
    """Make one step of exponentiated ascent on the weights of groups: those of high loss gain.

    Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts" (ICLR 2020), algorithm 1: weight_g
    proportional to weight_g exp(step_size x loss_g). As in the authors' code, a group without a sample in the batch has
    the loss 0, so that only the normalisation moves its weight, and the adjustment of section 3.3, C / sqrt(samples of
    the group), is added to the losses here and nowhere else, for all groups.

    A weight of 0 stays 0. NaN in a loss makes every weight NaN.

    Args:
        weights: 0 or above, with a sum above 0; left as they are.
        losses: of each group.
        step_size: at least 0.
        adjustment: added to the losses.

    Returns:
        The new weights, whose sum is 1.

    Raises:
        ValueError: shapes differ, or the step size is out of its range.
    """
    check_at_least_0(step_size=step_size)
    check_floating("weights", weights)
    for name, values in (("losses", losses), ("adjustment", adjustment)):
        if values is not None:
            check_tensor(name, values)
        if values is not None and (values.dim() != 1 or values.shape != weights.shape):
            raise ValueError(
                f"{name} must be one a group as the weights, got shapes {tuple(values.shape)} and "
                f"{tuple(weights.shape)}"
            )
    raised = losses if adjustment is None else losses + adjustment
    # The softmax does not overflow where the exponential of a loss would.
    return torch.softmax(weights.log() + step_size * raised.to(weights.dtype), 0)


def irm_penalty(
    logits: Float[Tensor, "batch classes"],
    labels: Integer[Tensor, " batch"],
    environments: Integer[Tensor, " batch"],
    *,
    count: int,
) -> Float[Tensor, " environments"]:
    """Compute the penalty of IRMv1: how much each environment would have the logits scaled.

    Arjovsky et al., "Invariant Risk Minimization" (2019), equation IRMv1: the squared derivative of the environment's
    cross-entropy of w x logits by the number w, at w = 1. In closed form, the derivative of one sample's loss is
    sum_k (softmax(logits)_k - [k = label]) logits_k; an environment's is the mean over its samples. The square of a
    mean over a batch is above that over all samples by the variance of the batch; the authors' code for large data
    multiplies the means of two halves of the batch instead, which is unbiased, but noisier, and may be negative.

    Args:
        logits: of each sample.
        labels: the class of each sample.
        environments: of each sample, from 0 to count - 1.
        count: of the environments.

    Returns:
        [environments], 0 or above: 0 for an environment without a sample in this batch.

    Raises:
        TypeError: logits are not floating-point, or labels or environments not integers.
        ValueError: there is not one label and one environment a sample, there is no sample, or (found on the CPU alone)
            a label or an environment is out of range.
    """
    labels = check_classes(logits, labels)
    environments = check_labels(environments, rows=len(logits), count=count, name="environments")
    with torch.autocast(logits.device.type, enabled=False):
        logits = wide(logits)
        own = logits.gather(1, labels[:, None]).squeeze(1)
        slopes = (torch.softmax(logits, 1) * logits).sum(1) - own
        return _means(slopes, environments, count)[0].square()


def _means(
    values: Float[Tensor, " batch"], groups: Int[Tensor, " batch"], count: int
) -> tuple[Float[Tensor, " groups"], Int[Tensor, " groups"]]:
    """Average over the samples of each group, and count these."""
    samples = torch.zeros(count, dtype=torch.long, device=values.device).index_add(0, groups, torch.ones_like(groups))
    sums = torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, groups, values)
    return sums / samples.clamp_min(1), samples
