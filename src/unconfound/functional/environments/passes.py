"""Environments learnt in batches, all batches of a pass at once.

In a pass each sample is looked at once, and until then its logits move by the momentum of earlier passes alone. So no
batch of a pass sees another: their gradients are computed together, and what Adam does to a sample before and after its
look is a sum over steps that is known beforehand. The result is that of one step after the other, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.environments.objective import Normalization, shares_of, slopes_of, through_softmax
from unconfound.functional.environments.shares import entropy_slopes

# As torch's Adam begins.
_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8
# Numbers that are held at a time.
_CHUNK = 2**22


@torch.no_grad()
def ascend_by_passes(
    vectors: Float[Tensor, "samples *environments width"],
    logits: Float[Tensor, "samples count"],
    orders: Iterable[Int[Tensor, " samples"]],
    *,
    batch_size: int,
    learning_rate: float,
    normalization: Normalization,
    bonus: float = 0.0,
) -> tuple[Float[Tensor, "samples count"], Float[Tensor, " looks"]]:
    """Make the steps that torch's Adam makes on one batch after the other.

    Args:
        vectors: as in `environment_objective`; finite.
        logits: where the ascent begins; left as they are.
        orders: of each pass, all samples in the order in which they are looked at.
        batch_size: the last batch of a pass may be smaller.
        learning_rate: of Adam, above 0.
        normalization: as in `environment_objective`.
        bonus: times the entropy of the shares of each batch, added to its objective.

    Returns:
        The logits, and the objective of each batch without the bonus.
    """
    batches = -(-len(logits) // batch_size)
    first, second = torch.zeros_like(logits), torch.zeros_like(logits)
    steps = torch.arange(1, batches + 1, device=logits.device, dtype=torch.float64)
    history, done = [], 0
    for order in (given.to(logits.device) for given in orders):
        look = torch.empty_like(order)
        look[order] = torch.arange(len(order), device=order.device) // batch_size
        if done:
            coasting = _coefficients(steps, done, learning_rate, since=0 * steps, until=steps)
            logits = logits + _moved(first, second, look, *coasting)
        gradient, objectives = _gradients(
            vectors, logits, order, batch_size=batch_size, normalization=normalization, bonus=bonus
        )
        history.append(objectives)
        # Moments as they are at each sample's look, then as they are at the end of the pass.
        seen = (look + 1).to(logits)[:, None]
        first = first * _FIRST**seen + (1 - _FIRST) * gradient
        second = second * _SECOND**seen + (1 - _SECOND) * gradient.square()
        moving = _coefficients(steps, done, learning_rate, since=steps, until=torch.full_like(steps, batches + 1))
        logits = logits + _moved(first, second, look, *moving)
        first, second = first * _FIRST ** (batches - seen), second * _SECOND ** (batches - seen)
        done += batches
    return logits, torch.cat(history)


def _gradients(
    vectors: Tensor, logits: Tensor, order: Tensor, *, batch_size: int, normalization: Normalization, bonus: float
) -> tuple[Float[Tensor, "samples count"], Float[Tensor, " batches"]]:
    """The gradient of each sample's batch by its logits, and the batches' objectives."""

    def batch(seen: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        shares = shares_of(seen, own)
        objective, slopes = slopes_of(seen, shares, normalization)
        return through_softmax(shares, slopes + bonus * entropy_slopes(shares)), objective

    gradient, objectives = torch.empty_like(logits), []
    whole = order[: len(order) // batch_size * batch_size].view(-1, batch_size)
    for rows in whole.split(max(1, _CHUNK // max(1, vectors[:batch_size].numel()))):
        if len(rows):
            gradient[rows], found = torch.vmap(batch)(vectors[rows], logits[rows])
            objectives.append(found)
    if len(rest := order[whole.numel() :]):
        gradient[rest], found = batch(vectors[rest], logits[rest])
        objectives.append(found[None])
    return gradient, torch.cat(objectives)


def _coefficients(
    steps: Float[Tensor, " batches"],
    done: int,
    learning_rate: float,
    *,
    since: Float[Tensor, " batches"],
    until: Float[Tensor, " batches"],
) -> tuple[Float[Tensor, "batches batches"], Float[Tensor, "batches batches"]]:
    """What each step of a pass multiplies a sample's moments with, [step, batch of the sample].

    Args:
        steps: 1, 2, ... of the pass.
        done: steps of earlier passes.
        learning_rate: of Adam.
        since: the step after which a sample's moments are known, of each batch; 0 is the start of the pass.
        until: the first step that is not counted.

    Returns:
        a and c of a m / (c sqrt(v) + 1e-8), by which a sample of the moments m and v moves; a is 0 where a step does
        not count.
    """
    age = (steps[:, None] - since).clamp_min(0)
    counts = (steps[:, None] >= since) & (steps[:, None] < until)
    at = (steps + done)[:, None]
    of_first = learning_rate * _FIRST**age / (1 - _FIRST**at)
    return torch.where(counts, of_first, 0), _SECOND ** (age / 2) / (1 - _SECOND**at).sqrt()


def _moved(
    first: Float[Tensor, "samples count"],
    second: Float[Tensor, "samples count"],
    look: Int[Tensor, " samples"],
    of_first: Float[Tensor, "batches batches"],
    of_second: Float[Tensor, "batches batches"],
) -> Float[Tensor, "samples count"]:
    """By how much the steps that count move each sample."""
    of_first, of_second, root = of_first.to(first), of_second.to(first), second.sqrt()
    moved = torch.empty_like(first)
    size = max(1, _CHUNK // (len(of_first) * first.shape[1]))
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        divisor = (of_second[:, look[rows], None] * root[rows]).add_(_LEAST)
        moved[rows] = (of_first[:, look[rows], None] * first[rows]).div_(divisor).sum(0)
    return moved
