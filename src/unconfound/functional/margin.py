"""NT-Xent with a margin that a positive has to lead by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_at_least_0, check_paired
from unconfound.functional.similarity import normalize


def large_margin_nt_xent(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    *,
    margin: float,
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    """Compute NT-Xent with an additive margin on the cosine of positives, over two views of each sample.

    The margin is that of Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition" (CVPR 2018),
    equation 4, where it is taken off the cosine to a sample's class; here, as in Lepage and Dehak, "Experimenting with
    Additive Margins for Contrastive Self-Supervised Speaker Verification" (INTERSPEECH 2023), off that to its other
    view. With z the 2N rows of both views, s their cosine similarities, and the other rows of both views as negatives,
    the mean over all i of -log[e_i / (e_i + sum_{k != i, pair(i)} exp(s_ik / t))], e_i = exp((s_i,pair(i) - m) / t).

    margin=0 is `nt_xent`. The loss grows with the margin, by no more than m / t. Where all rows are equal it is
    log(1 + (2N - 2) exp(m / t)). One pair has no negatives; its loss is 0. The matrix of similarities is
    held whole: memory is O(batch^2).

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        margin: m, 0 or above; cosines lie in [-1, 1].
        temperature: t, above 0.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    check_above_0(temperature=temperature)
    check_at_least_0(margin=margin)
    check_paired(first=first, second=second)
    with torch.autocast(first.device.type, enabled=False):
        rows = normalize(torch.cat([first, second]))
        batch = len(first)
        # What is added to each similarity: minus infinity to that of a row with itself, the margin to a pair's.
        shift = torch.full((2 * batch,), -torch.inf, dtype=rows.dtype, device=rows.device).diag()
        for offset in (batch, -batch):
            shift.diagonal(offset).fill_(-margin / temperature)
        logits = torch.addmm(shift, rows / temperature, rows.T)
        return F.cross_entropy(logits, torch.arange(2 * batch, device=rows.device).roll(batch))
