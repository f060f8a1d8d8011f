"""The terms of losses over pairs of samples: how alike two are, which pairs count, and by how much.

Every loss here is a weighted sum of the entries of one matrix, the weights being constants to the gradient. So a loss
over all pairs, or over all triplets, takes O(batch^2) memory and no list of indices, and can be spread over its anchors
again. The caller turns autocast off, once for a whole loss. A batch without any positive pair gives 0 where only
positives are told apart (triplets, `margin_terms`, `nt_xent_terms`, mined pairs), and the terms of its negatives
elsewhere; a sample that is alone in its class is a negative of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.functional.inputs import wide_pair
from unconfound.functional.similarity import normalize


@dataclass(frozen=True, eq=False)
class Terms:
    """A loss as a sum over anchors and what each is compared with.

    Args:
        values: of each term.
        weights: of each term in the sum; 0 for pairs that do not count.
    """

    values: Float[Tensor, "anchors others"]
    weights: Float[Tensor, "anchors others"]

    def total(self) -> Float[Tensor, ""]:
        """Return the loss."""
        return (self.values * self.weights).sum()

    def elements(self) -> tuple[Float[Tensor, " elements"], Int[Tensor, " elements"]]:
        """Return the terms that count, scaled so that their mean is the loss, and the anchor of each."""
        anchors, others = self.weights.nonzero(as_tuple=True)
        return self.values[anchors, others] * self.weights[anchors, others] * len(anchors), anchors


def pairs(labels: Int[Tensor, " batch"]) -> tuple[Bool[Tensor, "batch batch"], Bool[Tensor, "batch batch"]]:
    """Say which pairs of samples are of one class, a sample and itself excepted, and which are of two."""
    same = labels[:, None] == labels
    return same.clone().fill_diagonal_(False), ~same


def cosines(
    rows: Float[Tensor, "rows features"], others: Float[Tensor, "others features"]
) -> Float[Tensor, "rows others"]:
    """Compute the cosine similarities of rows of any scale."""
    first, second = wide_pair(normalize(rows), normalize(others))
    return first @ second.T


def distances(
    rows: Float[Tensor, "rows features"], others: Float[Tensor, "others features"]
) -> Float[Tensor, "rows others"]:
    """Compute the Euclidean distances of rows brought to unit length; between equal rows the gradient is 0."""
    first, second = normalize(rows), normalize(others)
    lengths = first.square().sum(1, keepdim=True) + second.square().sum(1)
    squares = torch.addmm(lengths, first, second.T, alpha=-2)
    # What is left between equal rows is rounding.
    least = 8 * torch.finfo(squares.dtype).eps
    return F.threshold(squares.clamp_min(least).sqrt(), least**0.5, 0)


def noise_to_signal(
    rows: Float[Tensor, "rows features"], others: Float[Tensor, "others features"]
) -> Float[Tensor, "rows others"]:
    """Compute var(other - row) / var(row) over the features of rows brought to unit length; not symmetric.

    Yuan et al., "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning" (CVPR 2019), equation 5.
    A row whose features are all equal has no variance; it counts as the smallest that floats tell from 0 beside 1.
    """
    first, second = (unit - unit.mean(1, keepdim=True) for unit in (normalize(rows), normalize(others)))
    signal = first.square().sum(1, keepdim=True)
    noise = (signal + second.square().sum(1) - 2 * first @ second.T).clamp_min(0)
    return noise / signal.clamp_min(torch.finfo(signal.dtype).eps)


def contrastive_terms(
    scores: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
    positive_margin: float,
    margin: float,
    *,
    similarity: bool = False,
) -> Terms:
    """Pull pairs of one class under a distance, push those of two beyond one; the mean of each kind's terms above 0.

    Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping" (CVPR 2006), without the squares, as in
    "A Metric Learning Reality Check": the mean of [d - positive_margin]+ over the pairs of one class in which it is
    above 0, plus that of [margin - d]+ over the pairs of two.

    Args:
        scores: distances, or similarities.
        positive, negative: the pairs of one class, and of two.
        positive_margin, margin: up to where positives, and from where on negatives are left alone.
        similarity: the scores are similarities, so that signs turn.
    """
    turn = -1.0 if similarity else 1.0
    signs, margins = torch.full_like(scores, -turn), torch.full_like(scores, turn * margin)
    signs.masked_fill_(positive, turn)
    margins.masked_fill_(positive, -turn * positive_margin)
    values = torch.addcmul(margins, scores, signs)
    # Terms below 0 get the weight 0, which is as good as cutting them off.
    active, weights = values.detach() > 0, torch.zeros_like(scores)
    for kind in (positive & active, negative & active):
        weights.masked_fill_(kind, kind.sum().clamp_min(1).to(scores.dtype).reciprocal())
    return Terms(values, weights)


def margin_terms(
    distances: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
    *,
    margin: float,
    boundary: Float[Tensor, "#anchors"],
) -> Terms:
    """Pull pairs of one class inside a learnt boundary, push those of two outside, each by a margin.

    Wu et al., "Sampling Matters in Deep Embedding Learning" (ICCV 2017), equation 4: the sum of
    [d(a, p) - b + m]+ + [b - d(a, n) + m]+ over all triplets, b being the boundary and m the margin, divided by how
    many of these terms are above 0. A pair stands in as many triplets as its anchor has pairs of the other kind.
    """
    edge = boundary[:, None]
    values = torch.where(positive, F.relu(distances - edge + margin), F.relu(edge - distances + margin))
    triplets = positive * negative.sum(1, keepdim=True) + negative * positive.sum(1, keepdim=True)
    weights = (triplets * (values.detach() > 0)).to(values.dtype)
    return Terms(values, weights / weights.sum().clamp_min(1))


def nt_xent_terms(
    logits: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
) -> Terms:
    """Tell each positive apart from all negatives of its anchor; the mean over all positive pairs.

    As in pytorch-metric-learning, -log[exp(u_ap) / (exp(u_ap) + sum_n exp(u_an))] with the logits u: other positives of
    the anchor are left out. Exact at any scale of the logits, where that library's fraction underflows in float32.
    """
    repulsion = logits.masked_fill(~negative, torch.finfo(logits.dtype).min).logsumexp(1, keepdim=True)
    weights = positive.to(logits.dtype)
    return Terms(F.softplus(repulsion - logits), weights / weights.sum().clamp_min(1))


def multi_similarity_terms(
    similarities: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
    *,
    positive_scale: float,
    scale: float,
    base: float,
    epsilon: float | None = None,
) -> Terms:
    """Weigh pairs by how far they are on the wrong side of a base, and by the others of their anchor; one an anchor.

    Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning" (CVPR 2019), equations 11
    and 12 (the miner) and 15: with similarities s, the mean over all samples of
    log(1 + sum_P exp(-alpha (s - base))) / alpha + log(1 + sum_N exp(beta (s - base))) / beta.

    Args:
        similarities, positive, negative: as `contrastive_terms`.
        positive_scale, scale: alpha and beta of the paper: sharpness for positives and negatives.
        base: lambda of the paper.
        epsilon: of the paper's miner, which leaves out positives that are nearer than the nearest negative, and
            negatives that are farther than the farthest positive, by more than this; None: all pairs count.
    """
    if epsilon is not None:
        fixed = similarities.detach()
        nearest = fixed.masked_fill(~negative, -torch.inf).amax(1, keepdim=True)
        farthest = fixed.masked_fill(~positive, torch.inf).amin(1, keepdim=True)
        # Written so that NaN stays in.
        positive, negative = positive & ~(fixed - epsilon >= nearest), negative & ~(fixed + epsilon <= farthest)
    attraction = log_one_plus_sum(positive_scale * (base - similarities), positive, dim=1) / positive_scale
    repulsion = log_one_plus_sum(scale * (similarities - base), negative, dim=1) / scale
    values = attraction + repulsion
    return Terms(values, torch.full_like(values, 1 / len(values), requires_grad=False))


def triplet_total(
    distances: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
    *,
    margin: float,
) -> Float[Tensor, ""]:
    """Average d(anchor, positive) - d(anchor, negative) + margin over all triplets in which it is above 0.

    Where the same triplets stay above 0 this is a weighted sum of distances. The weights, in how many such triplets a
    pair stands, come from sorting each anchor's negatives: O(batch^2 log batch) time and O(batch^2) memory for
    batch^3 triplets.
    """
    fixed = distances.detach()
    ranked, order = fixed.masked_fill(~negative, torch.inf).sort(1)
    # An anchor's positives in the first columns; what is filled up with has no negative near enough.
    anchors, near = positive.nonzero(as_tuple=True)
    counts = positive.sum(1)
    column = torch.arange(len(anchors), device=fixed.device) - (counts.cumsum(0) - counts)[anchors]
    reached = fixed.new_full((len(fixed), int(counts.max())), -torch.inf)
    reached[anchors, column] = fixed[anchors, near] + margin
    nearer = torch.searchsorted(ranked, reached)
    # How many of an anchor's positives have more than r negatives near enough: as many triplets hold its r-th negative.
    counted = fixed.new_zeros(len(fixed), fixed.shape[1] + 1)
    counted.scatter_add_(1, nearer, torch.ones_like(reached))
    held = nearer.shape[1] - counted.cumsum(1)[:, :-1]
    weights = torch.zeros_like(fixed).scatter_(1, order, -held)
    weights[anchors, near] = nearer[anchors, column].to(fixed.dtype)
    triplets = nearer.sum()
    weights = weights / triplets.clamp_min(1)
    return (distances * weights).sum() + margin * (triplets > 0)


def triplet_elements(
    distances: Float[Tensor, "anchors others"],
    positive: Bool[Tensor, "anchors others"],
    negative: Bool[Tensor, "anchors others"],
    *,
    margin: float,
) -> tuple[Float[Tensor, " elements"], Int[Tensor, " elements"]]:
    """Return the triplets' terms above 0, whose mean is `triplet_total`, and the anchor of each."""
    fixed = distances.detach()
    tile = max(1, 2**22 // fixed.shape[1] ** 2)
    found = []
    for start in range(0, len(fixed), tile):
        rows = slice(start, start + tile)
        active = fixed[rows, :, None] - fixed[rows, None, :] + margin > 0
        active &= positive[rows, :, None] & negative[rows, None, :]
        anchors, near, far = active.nonzero(as_tuple=True)
        found.append(torch.stack([anchors + start, near, far]))
    anchors, near, far = torch.cat(found, 1)
    return distances[anchors, near] - distances[anchors, far] + margin, anchors


def log_one_plus_sum(
    exponents: Float[Tensor, "rows columns"], keep: Bool[Tensor, "rows columns"], *, dim: int
) -> Float[Tensor, "..."]:
    """Return log(1 + sum exp) of the entries that are kept, summed over a dimension, of which 1 is left."""
    kept = exponents.masked_fill(~keep, -torch.inf)
    return torch.cat([torch.zeros_like(kept.narrow(dim, 0, 1)), kept], dim).logsumexp(dim, keepdim=True)
