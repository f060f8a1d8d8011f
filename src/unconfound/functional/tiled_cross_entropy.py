"""Cross-entropy over the rows of a similarity matrix that is never held whole."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# Similarities held at a time by default: on CPUs what caches keep close, elsewhere enough to fill the device.
_TILE_ELEMENTS_CPU = 2**21
_TILE_ELEMENTS = 2**25


def tiled_cross_entropy(
    queries: Float[Tensor, "queries features"],
    keys: Float[Tensor, "keys features"],
    weights: Float[Tensor, " queries"],
    *,
    targets: Int[Tensor, " queries"] | None,
    temperature: float,
    exclude_self: bool = False,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """Compute sum_i w_i [log sum_j exp(q_i . k_j / t) - q_i . k_target(i) / t], t being the temperature.

    Where one tile holds all queries, this is plain torch: differentiable any number of times, forwards and backwards,
    and under `torch.func`. Where several are needed, each is computed once, gives its part of the gradient and is
    forgotten: memory is O(tile x keys) forwards and backwards, the gradient is exact, and a second derivative raises.

    Args:
        queries: one row a cross-entropy.
        keys: what the queries are compared with.
        weights: of each query in the sum. No gradient flows to them.
        targets: the index of each query's positive key; None leaves the second term out.
        temperature: divides the inner products.
        exclude_self: leave the term j = i out of the inner sum; queries and keys are the same rows.
        tile: queries to compare with all keys at a time; None chooses.
    """
    if tile is None:
        elements = _TILE_ELEMENTS_CPU if queries.device.type == "cpu" else _TILE_ELEMENTS
        tile = max(1, elements // len(keys))
    if tile < len(queries):
        with_gradients = torch.is_grad_enabled()
        outputs: tuple[Tensor, ...] = _Tiled.apply(
            queries, keys, weights, targets, temperature, exclude_self, tile, with_gradients
        )
        return outputs[0]
    scaled = queries / temperature
    if exclude_self:
        # Adding this to the product costs no pass of its own, and vmap and forward mode know how.
        minus = torch.full((len(keys),), -torch.inf, dtype=keys.dtype, device=keys.device)
        logits = torch.addmm(minus.diag(), scaled, keys.T)
    else:
        logits = scaled @ keys.T
    losses = logits.logsumexp(1) if targets is None else F.cross_entropy(logits, targets, reduction="none")
    return losses @ weights


class _Tiled(torch.autograd.Function):
    """The sum above, and its gradients with it: weights are known beforehand, so no tile is needed again."""

    @staticmethod
    def forward(  # noqa: PLR0917
        queries: Tensor,
        keys: Tensor,
        weights: Tensor,
        targets: Tensor | None,
        temperature: float,
        exclude_self: bool,
        tile: int,
        with_gradients: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        scaled = queries / temperature
        losses = torch.empty_like(weights)
        query_gradients = torch.zeros_like(queries if with_gradients else queries[:0])
        key_gradients = torch.zeros_like(keys if with_gradients else keys[:0])
        buffer = queries.new_empty(tile, len(keys))
        for start in range(0, len(queries), tile):
            rows = slice(start, start + tile)
            logits = torch.mm(scaled[rows], keys.T, out=buffer[: len(scaled[rows])])
            if exclude_self:
                logits.diagonal(start).fill_(-torch.inf)
            positives = None if targets is None else targets[rows, None]
            peak = logits.amax(1, keepdim=True)
            reference = 0 if positives is None else logits.gather(1, positives)
            sums = logits.sub_(peak).exp_().sum(1, keepdim=True)
            losses[rows] = (sums.log() + (peak - reference)).squeeze(1)
            if with_gradients:
                gradients = logits.mul_(weights[rows, None] / sums)
                if positives is not None:
                    gradients.scatter_add_(1, positives, -weights[rows, None])
                torch.mm(gradients, keys, out=query_gradients[rows])
                key_gradients.addmm_(gradients.T, scaled[rows])
        return losses @ weights, query_gradients.div_(temperature), key_gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *of_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        # The gradients are outputs too, so that whoever differentiates them comes here instead of taking them for
        # constants, under torch.func as well.
        if any(each is not None for each in of_gradients):
            raise RuntimeError(
                "a contrastive loss computed in several tiles has no second derivative: pass tile=<its number of rows>"
            )
        if gradient is None:
            return (None,) * 8
        queries, keys = ctx.saved_tensors
        return gradient * queries, gradient * keys, *[None] * 6
