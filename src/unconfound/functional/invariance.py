"""How a loss changes with the scale of its scores: the invariance penalty of IRM and DCML in closed form.

Arjovsky et al., "Invariant Risk Minimization" (2019), equation IRMv1, asks that in every environment the best scale of
the scores be 1, and penalises the squared derivative g by a scale c that multiplies them, at c = 1. Deng and Zhang,
"Deep Causal Metric Learning" (ICML 2022), does so for metric losses. Written out, g needs the scores alone; a penalty
g ** 2 is trained with one ordinary backward pass instead of two nested ones.

Here is the form for softmax cross-entropy, and the route for any other loss.

The scale multiplies what each docstring calls the scores, margins and temperatures being inside them. On squared
distances, or on both sides of a similarity, g would be twice that on distances, or on one side; on embeddings that are
normalised afterwards it would be 0. All act on the batch that they are given: where it is spread over processes, gather
scores, labels and weights first. `weights` are 0 or above, and are divided by their sum in each environment; an
environment in which nothing has weight has g = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.forward_mode import prepare_forward_mode
from unconfound.functional.inputs import check_floating, wide
from unconfound.functional.labels import check_classes
from unconfound.functional.weighted_mean import weighted_mean


def softmax_scale_gradient(
    logits: Float[Tensor, "batch classes"],
    labels: Integer[Tensor, " batch"],
    weights: Float[Tensor, "batch *environments"] | None = None,
    *,
    per_class: bool = False,
) -> Float[Tensor, "..."]:
    """Compute g of softmax cross-entropy: the weighted mean over samples of `softmax_sample_scale_gradients`.

    The scores are the logits: those of CosFace, normalised softmax and SoftTriple, scale and margin inside, or minus
    scaled squared distances to proxies. DCML's released code gives each class its own c (`per_class`) and penalises
    the sum of the squares; the sum of the per-class g is the g of one c.

    Args:
        logits: u, of each sample.
        labels: the class of each sample.
        weights: [batch, environments], or [batch] for one environment; None for equal ones.
        per_class: one c a class instead of one in all.

    Returns:
        [], or [classes] per class; with a leading [environments] for weights [batch, environments].

    Raises:
        TypeError: logits or weights are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are no rows, or a label is out of range.
    """
    slopes = softmax_sample_scale_gradients(logits, labels, per_class=per_class)
    with torch.autocast(logits.device.type, enabled=False):
        return weighted_mean(slopes, weights)


def softmax_sample_scale_gradients(
    logits: Float[Tensor, "batch classes"], labels: Integer[Tensor, " batch"], *, per_class: bool = False
) -> Float[Tensor, "..."]:
    """Compute each sample's derivative of softmax cross-entropy by the scale of the logits.

    With p = softmax(u): sum_k p_k u_k - u_label for one c; (p_k - [k = label]) u_k for one c a class. Equal logits have
    0; so has a sample that is sure of its label, in the limit and from below.

    Args:
        logits: u, of each sample.
        labels: the class of each sample.
        per_class: one c a class instead of one in all.

    Returns:
        [batch], or [batch, classes] per class.

    Raises:
        TypeError: logits are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are no rows, or a label is out of range.
    """
    labels = check_classes(logits, labels)
    with torch.autocast(logits.device.type, enabled=False):
        logits, labels = wide(logits), labels[:, None]
        probabilities = torch.softmax(logits, 1)
        if per_class:
            return probabilities.scatter_add(1, labels, -torch.ones_like(logits[:, :1])) * logits
        # Differences are exact where large logits are not.
        return (probabilities * (logits - logits.gather(1, labels))).sum(1)


def scale_gradient(loss: Callable[[Tensor], Tensor], scores: Float[Tensor, "*shape"]) -> Float[Tensor, "..."]:
    """Compute g of any loss: the derivative of loss(c x scores) by c at c = 1, by one pass in forward mode.

    Args:
        loss: a function of the scores; of torch operations that have a forward derivative, and without side effects.
            It may return several losses, such as one a sample.
        scores: what c multiplies.

    Returns:
        g in the shape that the loss returns. Its gradient takes one ordinary backward pass.

    Raises:
        TypeError: scores are not floating-point.
        NotImplementedError: torch has no forward derivative of an operation in the loss.
    """
    check_floating("scores", scores)
    prepare_forward_mode()
    with torch.autocast(scores.device.type, enabled=False):
        scores = wide(scores)
        # By the chain rule, c moves the scores in their own direction.
        slopes: Tensor = torch.func.jvp(loss, (scores,), (scores,))[1]
        return slopes
