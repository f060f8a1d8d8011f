"""Environments learnt as the soft split of the samples on which a frozen model is least invariant.

Deng and Zhang, "Deep Causal Metric Learning" (ICML 2022). Once each sample's vector of gradients is known, an ascent
needs no network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from unconfound.functional.environments.objective import (
    Normalization,
    check_vectors,
    chunks,
    environment_objective,
    means_of,
    products_of,
    shares_of,
    slopes_of,
    through_softmax,
)
from unconfound.functional.environments.passes import ascend_by_passes
from unconfound.functional.environments.shares import entropy_slopes, raise_shares
from unconfound.functional.inputs import check_above_0, check_at_least_0, check_at_least_1, wide, wide_dtype
from unconfound.functional.labels import whole_numbers

# The logit of the environment to which a sample is assigned, over 0 for the others: softmax gives these 4e-18.
_ASSIGNED = 40.0


@torch.no_grad()
def learn_environments(
    vectors: Float[Tensor, "samples *environments width"],
    *,
    environments: int = 2,
    solver: Literal["adam", "frank-wolfe"] = "adam",
    steps: int = 100,
    learning_rate: float = 0.5,
    normalization: Normalization = "environment",
    smallest_share: float = 0.0,
    entropy_weight: float = 0.0,
    batch_size: int | None = None,
    passes: int = 1,
    batches: Iterable[Integer[Tensor, " rows"]] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "samples count"], Float[Tensor, " looks"]]:
    """Find environments that maximise `environment_objective`, from logits drawn from N(0, 1).

    "adam" ascends the closed gradient on all samples, `steps` times. With `batch_size` it makes `passes` over the
    samples in random order instead, the objective being that of each batch alone; with `batches`, one step on each of
    these. One pass of batches of 64 is the released procedure, for a fixed view of each image. Its Adam is dense: a
    sample that was looked at once keeps moving on momentum until the end of the pass.

    "frank-wolfe" assigns each sample to the environment j of largest <g_j, v_ij>, until nothing changes or `steps`
    times. It climbs the "samples" normalisation, which is convex in the weights, so that no assignment is worse than
    the one before. It looks at all samples in each step, and has no rate: options of batches and of Adam do not concern
    it.

    Guards against tiny environments, ours: `smallest_share` moves the weights, after each step of Adam, to the nearest
    that give each environment this share of all samples; `entropy_weight` adds the entropy of these shares to the
    objective (of each batch's, where there are batches), in units of the mean squared length of the vectors, so that it
    does not hang on the scale of the loss.

    The draws are, in order, the logits and the order of each pass; equal generators give equal environments.

    Args:
        vectors: as in `environment_objective`; finite.
        environments: at least 1.
        solver: see above.
        steps: at least 1.
        learning_rate: of Adam, above 0.
        normalization: as in `environment_objective`.
        smallest_share: from 0 to 1 / environments.
        entropy_weight: at least 0.
        batch_size: at least 1; the last batch of a pass may be smaller.
        passes: at least 1.
        batches: indices of samples; one may come twice.
        generator: torch's default if None.

    Returns:
        The logits [samples, environments]; and the objective without the bonus, as each step found it on the samples
        that it looked at, and at last that of all samples under the logits returned.

    Raises:
        TypeError: vectors are not floating-point, or batches hold no integers.
        ValueError: vectors are not finite, shapes do not fit, or an option is out of its range.
    """
    check_at_least_1(environments=environments)
    device = None if generator is None else generator.device
    drawn = torch.randn(len(vectors), environments, generator=generator, device=device)
    logits = drawn.to(vectors.device, wide_dtype(vectors))
    check_vectors(vectors, logits, normalization)
    _check_finite(vectors)
    check_at_least_1(steps=steps, passes=passes, batch_size=1 if batch_size is None else batch_size)
    if solver == "frank-wolfe":
        if normalization != "samples" or smallest_share or entropy_weight:
            raise ValueError(
                "frank-wolfe needs normalization='samples', which does not reward tiny environments, and takes neither "
                f"smallest_share nor entropy_weight, got {normalization!r}, {smallest_share} and {entropy_weight}: "
                "leave them out, or use solver='adam'"
            )
        return _frank_wolfe(vectors, logits, steps)
    if solver != "adam":
        raise ValueError(f"solver must be adam or frank-wolfe, got {solver!r}")
    check_above_0(learning_rate=learning_rate)
    check_at_least_0(entropy_weight=entropy_weight)
    logits = raise_shares(logits, smallest_share=smallest_share)

    bonus = entropy_weight * _mean_square(vectors) if entropy_weight else 0.0
    ascent: dict[str, Any] = {"learning_rate": learning_rate, "normalization": normalization, "bonus": bonus}
    if batch_size is not None and batches is None and not smallest_share:
        orders = (_order(len(vectors), generator) for _ in range(passes))
        logits, history = ascend_by_passes(vectors, logits, orders, batch_size=batch_size, **ascent)
    else:
        looks: Iterable[Tensor | None] = _looks(len(vectors), steps, batch_size, passes, generator)
        if batches is not None:
            looks = (whole_numbers("batches", rows) for rows in batches)
        logits, history = _ascend(vectors, logits, looks, smallest_share=smallest_share, **ascent)
    return logits, torch.cat([history, environment_objective(vectors, logits, normalization=normalization)[None]])


def _ascend(
    vectors: Tensor,
    logits: Tensor,
    looks: Iterable[Tensor | None],
    *,
    learning_rate: float,
    normalization: Normalization,
    bonus: float,
    smallest_share: float,
) -> tuple[Tensor, Tensor]:
    """Make one step after the other on the samples that each looks at, None being all."""
    adam = torch.optim.Adam([logits], lr=learning_rate, maximize=True)
    history = []
    for rows in (given if given is None else given.to(logits.device) for given in looks):
        seen, own = (vectors, logits) if rows is None else (vectors[rows], logits[rows])
        shares = shares_of(seen, own)
        objective, slopes = slopes_of(seen, shares, normalization)
        gradient = through_softmax(shares, slopes + bonus * entropy_slopes(shares))
        logits.grad = gradient if rows is None else torch.zeros_like(logits).index_add_(0, rows, gradient)
        adam.step()
        if smallest_share:
            logits.copy_(raise_shares(logits, smallest_share=smallest_share))
        history.append(objective)
    logits.grad = None
    return logits, torch.stack(history)


def _looks(
    samples: int, steps: int, batch_size: int | None, passes: int, generator: torch.Generator | None
) -> Iterator[Tensor | None]:
    """The samples that each step looks at; None for all."""
    if batch_size is None:
        yield from (None for _ in range(steps))
        return
    for _ in range(passes):
        yield from _order(samples, generator).split(batch_size)


def _order(samples: int, generator: torch.Generator | None) -> Int[Tensor, " samples"]:
    return torch.randperm(samples, generator=generator, device=None if generator is None else generator.device)


def _frank_wolfe(vectors: Tensor, logits: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    means, _ = means_of(vectors, shares_of(vectors, logits), "samples")
    history = [means.square().sum(1).mean()]
    assigned = None
    for _ in range(steps):
        best = products_of(vectors, means).argmax(1)
        if assigned is not None and torch.equal(best, assigned):
            break
        assigned = best
        logits = torch.zeros_like(logits).scatter_(1, best[:, None], _ASSIGNED)
        means, _ = means_of(vectors, shares_of(vectors, logits), "samples")
        history.append(means.square().sum(1).mean())
    return logits, torch.stack(history)


def _mean_square(vectors: Tensor) -> float:
    total = sum(float(wide(vectors[rows]).square().sum()) for rows in chunks(vectors))
    return total / math.prod(vectors.shape[:-1])


def _check_finite(vectors: Tensor) -> None:
    for rows in chunks(vectors):
        # Quicker than a look at each number. Only a sum that is not finite, maybe of large numbers, asks for one.
        if vectors[rows].sum().isfinite():
            continue
        fine = vectors[rows].isfinite().flatten(1).all(1)
        if not fine.all():
            raise ValueError(
                f"vectors must be finite, got NaN or infinity for sample {rows.start + int((~fine).nonzero()[0])}: "
                "is the model's loss finite on it?"
            )
