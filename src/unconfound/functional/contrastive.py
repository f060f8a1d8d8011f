"""Contrastive losses: each tells positives apart from the rest of the batch.

All compare cosine similarities: embeddings are normalised inside. Values and gradients do not depend on `tile`, the
number of rows of the similarity matrix held at a time; memory is O(batch x tile). `tile=None` chooses. A batch that
fits one tile (for None: up to about 1,000 rows) can be differentiated twice, forwards, and under `torch.func`; a larger
one once. It raises where more is asked for; `tile` of at least the number of rows then helps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.inputs import check_above_0, check_paired, check_rows, check_tile
from unconfound.functional.labels import check_labels
from unconfound.functional.similarity import normalize
from unconfound.functional.tiled_cross_entropy import tiled_cross_entropy


def nt_xent(
    first: Float[Tensor, "batch features"],
    second: Float[Tensor, "batch features"],
    *,
    temperature: float = 0.5,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """Compute NT-Xent, the loss of SimCLR, over two views of each sample.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (ICML 2020), equation 1: with z
    the 2N rows of both views and s their cosine similarities, the mean over all i of
    -log[exp(s_i,pair(i) / t) / sum_{k != i} exp(s_ik / t)]. One pair has no negatives; its loss is 0.

    Args:
        first: one view of each sample; any scale.
        second: the other view, in the same order.
        temperature: t, above 0.
        tile: rows of the similarity matrix [2 batch, 2 batch] held at a time, at least 1, or None.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    _check_options(temperature, tile)
    check_paired(first=first, second=second)
    with torch.autocast(first.device.type, enabled=False):
        rows = normalize(torch.cat([first, second]))
        batch = len(first)
        return tiled_cross_entropy(
            rows,
            rows,
            rows.new_full((2 * batch,), 0.5 / batch),
            targets=torch.arange(2 * batch, device=rows.device).roll(-batch),
            temperature=temperature,
            exclude_self=True,
            tile=tile,
        )


def info_nce(
    anchor: Float[Tensor, "batch features"],
    positive: Float[Tensor, "batch features"],
    *,
    temperature: float = 0.5,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """Compute InfoNCE: the cross-entropy of finding each anchor's positive among all positives.

    van den Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018), equation 4, with
    exp(cosine / t) as the density ratio: the positive of row i is row i, its negatives are the other rows of
    `positive`. Not symmetric in its arguments. One row has no negatives; its loss is 0.

    Args:
        anchor: what is compared; any scale.
        positive: the positive of each anchor, in the same order.
        temperature: t, above 0.
        tile: rows of the similarity matrix [batch, batch] held at a time, at least 1, or None.

    Raises:
        TypeError: embeddings are not floating-point.
        ValueError: shapes differ, there are no rows, or an option is out of its range.
    """
    _check_options(temperature, tile)
    check_paired(anchor=anchor, positive=positive)
    with torch.autocast(anchor.device.type, enabled=False):
        queries, keys = normalize(anchor), normalize(positive)
        batch = len(anchor)
        return tiled_cross_entropy(
            queries,
            keys,
            queries.new_full((batch,), 1 / batch),
            targets=torch.arange(batch, device=queries.device),
            temperature=temperature,
            tile=tile,
        )


def supervised_contrastive(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    *,
    temperature: float = 0.1,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """Compute the supervised contrastive loss L_out, averaged over the anchors that have a positive.

    Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020), equation 2: for each anchor i,
    -1/|P(i)| sum_{p in P(i)} log[exp(s_ip / t) / sum_{a != i} exp(s_ia / t)], P(i) being the other rows of its label.
    An anchor whose label no other row carries has no loss of its own, and is a negative of the others.

    Args:
        embeddings: any number of views of any samples; any scale.
        labels: the class of each row, 0 or above.
        temperature: t, above 0.
        tile: rows of the similarity matrix [batch, batch] held at a time, at least 1, or None.

    Raises:
        TypeError: embeddings are not floating-point, or labels not integers.
        ValueError: no two rows share a label, labels and rows differ in number, a label is negative, there are no rows,
            or an option is out of its range.
    """
    _check_options(temperature, tile)
    check_rows("embeddings", embeddings)
    labels = check_labels(labels, rows=len(embeddings))
    _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    others = (sizes - 1)[classes]
    has_positive = others > 0
    if not has_positive.any():
        raise ValueError(
            f"no two of the {len(labels)} rows share a label, so there is no positive: "
            "use a larger batch, two views of each sample, or sample several of a class"
        )
    with torch.autocast(embeddings.device.type, enabled=False):
        rows = normalize(embeddings)
        weights = has_positive.to(rows.dtype) / has_positive.sum()
        attraction = rows.new_zeros(len(sizes), rows.shape[1]).index_add(0, classes, rows)[classes] - rows
        attraction = (rows * attraction).sum(1) / others.clamp_min(1)
        repulsion = tiled_cross_entropy(
            rows, rows, weights, targets=None, temperature=temperature, exclude_self=True, tile=tile
        )
        loss: Tensor = repulsion - (attraction @ weights) / temperature
        return loss


def _check_options(temperature: float, tile: int | None) -> None:
    check_above_0(temperature=temperature)
    if tile is not None:
        check_tile(tile)
