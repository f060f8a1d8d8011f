"""Losses forward and backward: NT-Xent against lightly and pytorch-metric-learning, SIGReg and DINO as written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, held, timed
from benchmarks.row import LeftOut, Row
from unconfound.functional.assignment import predicted_assignment
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.gaussianity import random_directions, sigreg

FEATURES = 128
Loss = Callable[[Tensor, Tensor], Tensor]


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    for pairs, name, peer, target, rounds in (
        (scale.of(512, 16), "lightly", _lightly, 1.3, 20),
        (scale.of(128, 16), "pytorch-metric-learning", partial(_metric_learning, scale.of(128, 16)), 100, 5),
    ):
        yield timed(
            f"NT-Xent, {pairs} pairs of {FEATURES}, against {name}",
            _step(nt_xent, pairs),
            lambda pairs=pairs, peer=peer: _step(peer(), pairs),
            target=target,
            rounds=rounds,
            scale=scale,
            unit="ms",
        )
    large = scale.of(8192, 64)
    what = f"NT-Xent, {large} pairs of {FEATURES}, peak memory over lightly's"
    yield held(what, partial(prepare_ours, large), partial(prepare_lightly, large), target=0.25, scale=scale)
    yield from _multi_crop(scale)


def _multi_crop(scale: Scale) -> Iterator[Row | LeftOut]:
    views, batch, prototypes = 10, scale.of(256, 8), scale.of(1024, 16)
    directions = random_directions(64, scale.of(256, 4))
    codes = torch.randn(2, batch, prototypes).softmax(2)
    for what, shape, ours, naive, target in (
        (
            f"SIGReg, {views} views of {batch} x 64, {directions.shape[1]} directions, against its definition",
            (views, batch, 64),
            lambda rows: sigreg(rows, directions).mean(),
            partial(_sigreg_as_written, directions),
            4.0,
        ),
        (
            f"DINO loss, 2 + 8 views of {batch} x {prototypes}, against a loop over pairs of views",
            (views, batch, prototypes),
            lambda scores: predicted_assignment(scores, codes),
            partial(_pairs_as_written, codes),
            1.5,
        ),
    ):
        rows = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)

        def step(loss: Callable[[Tensor], Tensor], rows: Tensor = rows) -> None:
            torch.autograd.backward(loss(rows), inputs=[rows])

        yield timed(
            what,
            partial(step, ours),
            lambda step=step, naive=naive: partial(step, naive),
            target=target,
            rounds=5,
            scale=scale,
            unit="ms",
        )


def _sigreg_as_written(directions: Tensor, views: Tensor) -> Tensor:
    points = torch.linspace(-5, 5, 17)
    normal = torch.exp(-points.square() / 2)
    losses = []
    for rows in views:
        own = torch.exp(1j * (rows @ directions)[..., None] * points).mean(0)
        losses.append(torch.trapezoid((own - normal).abs().square() * normal, points).mean() * len(rows))
    return torch.stack(losses).mean()


def _pairs_as_written(codes: Tensor, scores: Tensor) -> Tensor:
    losses = [
        -(code * (each / 0.1).log_softmax(1)).sum(1).mean()
        for source, code in enumerate(codes)
        for view, each in enumerate(scores)
        if view != source
    ]
    return torch.stack(losses).mean()


def prepare_ours(pairs: int) -> Callable[[], None]:
    return _prepare(nt_xent, pairs)


def prepare_lightly(pairs: int) -> Callable[[], None]:
    return _prepare(_lightly(), pairs)


def _prepare(loss: Loss, pairs: int) -> Callable[[], None]:
    _step(loss, 16)()
    return _step(loss, pairs)


def _step(loss: Loss, pairs: int) -> Callable[[], None]:
    """What an encoder pays for the loss: its value and the gradient with respect to the projections."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(pairs, FEATURES, generator=generator, requires_grad=True) for _ in range(2))
    return lambda: torch.autograd.backward(loss(first, second), inputs=[first, second])


def _lightly() -> Loss:
    from lightly.loss import NTXentLoss

    loss: Loss = NTXentLoss(temperature=0.5)
    return loss


def _metric_learning(pairs: int) -> Loss:
    from pytorch_metric_learning.losses import NTXentLoss

    loss, labels = NTXentLoss(temperature=0.5), torch.arange(pairs).repeat(2)
    return lambda first, second: loss(torch.cat([first, second]), labels)
