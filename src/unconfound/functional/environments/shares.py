"""Guards against tiny environments, which an objective that divides by their size rewards. Ours."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_ROUNDS, _HALVINGS = 100, 32


@torch.no_grad()
def raise_shares(
    weights_logits: Float[Tensor, "samples environments"], *, smallest_share: float
) -> Float[Tensor, "samples environments"]:
    """Move to the nearest weights that give each environment at least this share of all samples.

    Nearest by the Kullback-Leibler divergence to the softmax of the logits, summed over samples: all samples' logits of
    an environment rise by one number, which is 0 where its share, the mean of its weights, was large enough. Each is
    found by bisection; raising one lowers the others, which are raised in turn.

    Args:
        weights_logits: one row a sample; left as they are.
        smallest_share: from 0 to 1 / environments. Reached to within a relative 1e-5.

    Raises:
        ValueError: the share is out of its range.
    """
    environments = weights_logits.shape[1]
    if not 0 <= smallest_share * environments <= 1 + 1e-9:
        raise ValueError(f"smallest_share must be 0 to 1 / environments = {1 / environments:.4g}, got {smallest_share}")
    raised = weights_logits.double()
    for _ in range(_ROUNDS):
        share, lowest = torch.softmax(raised, 1).mean(0).min(0)
        if share >= smallest_share * (1 - 1e-6):
            break
        others = raised.index_fill(1, lowest, -torch.inf).logsumexp(1)
        lead = raised[:, lowest] - others
        low = lead.new_zeros(())
        # Here no sample's weight is below the share.
        high = torch.logit(low + smallest_share) - lead.min()
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = torch.sigmoid(lead + middle).mean() >= smallest_share
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        raised = raised.index_add(1, lowest[None], high.expand(len(raised), 1))
    return raised.to(weights_logits.dtype)


def entropy_slopes(shares: Float[Tensor, "samples environments"]) -> Float[Tensor, " environments"]:
    """The gradient, by each sample's weights, of the entropy -sum_j m_j log m_j of their means m over samples."""
    means = shares.mean(0).clamp_min(torch.finfo(shares.dtype).tiny)
    return -(means.log() + 1) / len(shares)
