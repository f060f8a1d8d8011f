"""How much a sample counts by how badly a first model predicts it: automatic feature reweighting."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.inputs import check_at_least_0, check_at_least_1, check_floating, check_tensor, wide
from unconfound.functional.labels import check_classes, check_labels


def error_weights(
    logits: Float[Tensor, "samples classes"], labels: Integer[Tensor, " samples"], *, gamma: float
) -> Float[Tensor, " samples"]:
    """Weight samples by exp(-gamma p), where p is the probability that a model gives to the right class.

    Qiu et al., "Simple and Fast Group Robustness by Automatic Feature Reweighting" (ICML 2023), section 4:
    weight_i proportional to exp(-gamma p_i) / (samples of the class of i), with a sum of 1 over all samples. With
    gamma = 0, all classes weigh alike.

    Args:
        logits: of the model.
        labels: the right class of each sample.
        gamma: at least 0.

    Raises:
        TypeError: logits are not floating-point, or labels not integers.
        ValueError: shapes do not fit, gamma is out of its range, or (found on the CPU alone) a label is out of range.
    """
    check_at_least_0(gamma=gamma)
    labels = check_classes(logits, labels)
    right = torch.softmax(wide(logits), 1).gather(1, labels[:, None]).squeeze(1)
    sizes = torch.bincount(labels, minlength=logits.shape[1])[labels]
    # The softmax does not underflow where every exponential would.
    return torch.softmax(-gamma * right - sizes.to(right.dtype).log(), 0)


@torch.no_grad()
def descend_to_weighted(
    features: Float[Tensor, "samples features"],
    labels: Integer[Tensor, " samples"],
    weights: Float[Tensor, " samples"],
    *,
    start: tuple[Float[Tensor, "classes features"], Float[Tensor, " classes"]],
    pull: float,
    steps: int,
    learning_rate: float,
) -> tuple[Float[Tensor, "classes features"], Float[Tensor, " classes"]]:
    """Move a linear classifier by gradient descent on sum_i weight_i cross-entropy_i + pull |classifier - start|^2.

    The second stage of Qiu et al. (ICML 2023), section 4: full batches, a constant learning rate, no momentum; weights
    and bias of the classifier are pulled alike. Ours: a learning rate of more than 1 / L, where L bounds the curvature
    of the objective, is lowered to 1 / L, as descent may diverge from 2 / L on where embeddings are large.

    Args:
        features: embeddings of the samples.
        labels: the class of each sample.
        weights: of the samples, 0 or above.
        start: weight and bias of the first stage's classifier.
        pull: at least 0.
        steps: at least 1.
        learning_rate: above 0.

    Returns:
        Weight and bias, in float64, on the features' device.

    Raises:
        TypeError: features or weights are not floating-point, or labels not integers.
        ValueError: there are no samples, not one label and one weight a sample, or an option is out of its range.
    """
    check_at_least_0(pull=pull, learning_rate=learning_rate)
    check_at_least_1(steps=steps)
    check_floating("features", features)
    check_tensor("weights", weights)
    first_weight, first_bias = start
    labels = check_labels(labels, rows=len(features), count=len(first_bias))
    if len(features) == 0 or weights.shape != labels.shape:
        raise ValueError(
            f"give at least one sample and one weight a sample, got {len(features)} samples and weights of shape "
            f"{tuple(weights.shape)}"
        )
    rows = torch.cat([features.double(), features.new_ones(len(features), 1, dtype=torch.float64)], 1)
    first = torch.cat([first_weight.double(), first_bias.double()[:, None]], 1).to(rows.device)
    targets = torch.nn.functional.one_hot(labels, len(first)).double()
    weighted = rows * weights.double()[:, None]
    # The curvature of cross-entropy is at most 1/2 along any direction of the logits.
    curvature = float(torch.linalg.matrix_norm(rows * weights.double().sqrt()[:, None], 2)) ** 2 / 2 + 2 * pull
    rate = min(learning_rate, 1 / curvature) if curvature > 0 else learning_rate
    now = first.clone()
    for _ in range(steps):
        gradient = (torch.softmax(rows @ now.T, 1) - targets).T @ weighted + 2 * pull * (now - first)
        now -= rate * gradient
    return now[:, :-1], now[:, -1]
