"""How a change of the strata would change the host's loss after its next step: ICL-MSR's second stage.

With theta the host's weights, phi the strata's, L_1 = L_host + weight * L_icl and theta+ = theta - rate * grad L_1:
d L_host(theta+) / d phi = -rate * weight * d/dphi <grad_theta L_icl, v>, where v = grad L_host(theta+). As phi acts on
L_icl through the strata alone, the inner product is that of dL_icl/dZ with the change of the projections Z along v. So
a first-order pass for v and one forward-mode pass for that change suffice, and nothing is differentiated twice but
L_icl on projections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from unconfound.functional.distributed import world
from unconfound.functional.forward_mode import prepare_forward_mode
from unconfound.methods.parts.two_views import Compared, TwoViewMethod, gathered

Weights = dict[str, Tensor]
# One tensor a size of views, as a host draws them (`all_views`).
Views = tuple[Tensor, ...]


@dataclass(eq=False)
class Stage:
    """What the first stage did with a batch, from which the second goes on where both share batches.

    Args:
        weights: of the host, before its step.
        views: of the batch.
        compared: what the host made of them, without its graph.
        gradient: of the stage's loss by the weights.
    """

    weights: Weights
    views: Views
    compared: Compared
    gradient: Weights


class HostAt(nn.Module):
    """A host at other weights than its own, which leaves the host's weights and buffers as they are."""

    def __init__(self, host: TwoViewMethod[Any]) -> None:
        super().__init__()
        self.host = host

    def weights(self) -> Weights:
        """The weights that the host learns, detached, by the names that `compare` takes."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}

    def compare(self, weights: Weights, views: Views) -> Compared:
        """Compare views at these weights."""
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers()}
        compared: Compared = functional_call(self, weights | buffers, views)
        return compared

    def forward(self, *views: Tensor) -> Compared:
        return self.host.compare(*views)

    def gradient(
        self, weights: Weights, views: Views, loss_of: Callable[[Compared], Tensor]
    ) -> tuple[Weights, Compared]:
        """Give the gradient of a loss by the weights, over all processes' batch, and what it was computed from."""
        weights = {name: weight.requires_grad_() for name, weight in _detached(weights).items()}
        with torch.enable_grad():
            compared = self.compare(weights, views)
            gradients = torch.autograd.grad(loss_of(compared), list(weights.values()), allow_unused=True)
        return {
            name: mean_over_processes(torch.zeros_like(weight) if gradient is None else gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }, compared

    def change(
        self, weights: Weights, views: Views, direction: Weights, part: Callable[[Compared], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Give a part of what the host makes, and its derivative along a direction of the weights, by forward mode."""
        prepare_forward_mode()
        with forward_ad.dual_level(), torch.no_grad():
            duals = {name: forward_ad.make_dual(weight, direction[name]) for name, weight in _detached(weights).items()}
            primal, tangent = forward_ad.unpack_dual(part(self.compare(duals, views)))
            return primal.clone(), torch.zeros_like(primal) if tangent is None else tangent.clone()


def moved(weights: Weights, direction: Weights, length: float) -> Weights:
    """Return weights + length * direction."""
    return {name: torch.add(weight, direction[name], alpha=length) for name, weight in weights.items()}


def length_of(direction: Weights) -> float:
    """Return the Euclidean length of all entries together."""
    return float(nn.utils.get_total_norm(list(direction.values())))


def aligned(
    loss: Callable[[Tensor], Tensor],
    values: Float[Tensor, "views width"],
    change: Float[Tensor, "views width"],
) -> Float[Tensor, ""]:
    """Return <d loss / d values, change>, differentiable by what else the loss depends on.

    Args:
        loss: of the values of all processes' samples.
        values, change: of this process's samples, the first views, then the second ones; taken as constants.
    """
    values, change = (torch.cat(gathered(rows)) for rows in (values, change))
    values = values.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(values), values, create_graph=True)
    return (gradient * change.detach()).sum()


def mean_over_processes(values: Tensor) -> Tensor:
    """Average a tensor of equal shape over all processes; without a gradient."""
    if world()[1] == 1:
        return values
    values = values.contiguous()
    dist.all_reduce(values)
    return values / world()[1]


def _detached(weights: Weights) -> Weights:
    return {name: weight.detach() for name, weight in weights.items()}
