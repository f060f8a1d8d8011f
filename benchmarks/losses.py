"""NT-Xent forward and backward against lightly and pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, held, timed
from benchmarks.row import LeftOut, Row
from unconfound.functional.contrastive import nt_xent

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
