"""What DCML asks of samples of one class and of the attentions of several environments: to agree.

Deng and Zhang, "Deep Causal Metric Learning" (ICML 2022): the terms with gamma and beta of the training loss, each in
the form of the authors' code and in that of the paper. Where a batch is spread over processes, gather rows, labels and
weights first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.inputs import check_floating, wide
from unconfound.functional.labels import check_labels
from unconfound.functional.weighted_mean import weighted_mean


def mean_class_penalty(
    embeddings: Float[Tensor, "batch features"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
) -> Float[Tensor, "*environments"]:
    """Compute how far samples lie from the mean of their class in the batch: the code's form of the gamma term.

    The weighted mean of ||e_i - mean of class i||^2. The mean is over all samples of the class, whatever their weights,
    and a constant to the gradient. A sample alone in its class adds 0, and its weight to the divisor, as in the code.

    Args:
        embeddings: e; the code takes them before they are normalised.
        labels: the class of each sample, 0 or above.
        weights: 0 or above, [batch, environments] or [batch]; None for equal ones. Divided by their sum in each
            environment, which has the value 0 where nothing has weight.

    Raises:
        TypeError: embeddings or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, or there are no rows.
    """
    rows, labels = _rows(embeddings, labels)
    with torch.autocast(embeddings.device.type, enabled=False):
        means, classes, _ = _class_means(rows, labels)
        return weighted_mean((rows - means.detach()[classes]).square().sum(1), weights)


def pairwise_class_penalty(
    embeddings: Float[Tensor, "batch *features"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
) -> Float[Tensor, "*environments"]:
    """Compute how far samples of a class lie from each other: the paper's form of the gamma term.

    The poster's term 1[y_i = y_k] ||x_i - x_k||^2, x an attended map, says neither how it is summed nor where weights
    enter. Here: the sum over the other samples k of the class, then the mean over i by the weights of i; gradients flow
    to both. In O(batch x features), as the sum over k is n ||x_i - m||^2 + sum_k ||x_k - m||^2 for n samples of mean m.

    Args:
        embeddings: x, embeddings or maps.
        labels: the class of each sample, 0 or above.
        weights: as in `mean_class_penalty`.

    Raises:
        TypeError: embeddings or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, or there are no rows.
    """
    rows, labels = _rows(embeddings, labels)
    with torch.autocast(embeddings.device.type, enabled=False):
        means, classes, sizes = _class_means(rows, labels)
        apart = (rows - means[classes]).square().sum(1)
        of_class = torch.zeros_like(apart).index_add(0, classes, apart)
        return weighted_mean(sizes * apart + of_class[classes], weights)


def attention_variance(weights: Sequence[Float[Tensor, "environments ..."]]) -> Float[Tensor, ""]:
    """Compute how much attentions differ between environments, on the scale of each: the code's form of the beta term.

    The mean over matrices and environments j of (||W_j - mean of W over j||_2 / ||W_j||_1)^2, entrywise norms;
    gradients flow through the mean and the divisor. 0 for one environment, and only where all are equal; multiplying a
    matrix in all environments by one number changes nothing. A matrix of zeros counts 0 where all are.

    Args:
        weights: matrices of the attention, each stacked over the environments.

    Raises:
        TypeError: a matrix is not floating-point.
        ValueError: there is none, or one is empty.
    """
    with torch.autocast(_check_matrices(weights).type, enabled=False):
        # All matrices side by side, so that few operations see all of them.
        rows = [wide(each).flatten(1) for each in weights]
        lengths = [each.shape[1] for each in rows]
        together = torch.cat(rows, 1)
        sizes = torch.stack([each.sum(1) for each in together.abs().split(lengths, 1)], 1)
        sizes = torch.where(sizes == 0, torch.finfo(sizes.dtype).tiny, sizes)
        apart = (together - together.mean(0)) / torch.cat(
            [size[:, None].expand(-1, length) for size, length in zip(sizes.unbind(1), lengths, strict=True)], 1
        )
        return apart.square().sum() / sizes.numel()


def attention_distance(weights: Sequence[Float[Tensor, "environments ..."]]) -> Float[Tensor, ""]:
    """Compute the squared distance of attentions from their mean over environments: the paper's form of the beta term.

    sum_j ||theta_j - mean of theta over j||^2, theta all matrices together.

    Args:
        weights: matrices of the attention, each stacked over the environments.

    Raises:
        TypeError: a matrix is not floating-point.
        ValueError: there is none, or one is empty.
    """
    with torch.autocast(_check_matrices(weights).type, enabled=False):
        return torch.stack([(wide(each) - wide(each).mean(0)).square().sum() for each in weights]).sum()


def _rows(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    check_floating("embeddings", embeddings)
    if embeddings.dim() < 2 or embeddings.numel() == 0:
        raise ValueError(
            f"embeddings must be [batch, features...] with at least one of each, got shape {tuple(embeddings.shape)}"
        )
    labels = check_labels(labels, rows=len(embeddings))
    return wide(embeddings).flatten(1), labels


def _class_means(
    rows: Tensor, labels: Tensor
) -> tuple[Float[Tensor, "batch features"], Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """The mean of each class at the place of its first row; that place for each row, and how many are of its class."""
    # A class goes by its first row in the batch. `torch.unique` would name classes too, but waits for the device.
    same = labels[:, None] == labels
    classes, sizes = same.int().argmax(1), same.sum(1)
    sums = torch.zeros_like(rows).index_add(0, classes, rows)
    return sums / sizes[:, None], classes, sizes


def _check_matrices(weights: Sequence[Tensor]) -> torch.device:
    if len(weights) == 0:
        raise ValueError("weights must hold at least one matrix, stacked over environments, got none")
    for each in weights:
        check_floating("weights", each)
        if each.dim() < 2 or each.numel() == 0:
            raise ValueError(f"weights must be [environments, ...] each, got shape {tuple(each.shape)}")
    return weights[0].device
