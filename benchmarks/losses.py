"""NT-Xent forward and backward against lightly and pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.row import Row, median_seconds, peak_growth_mib
from unconfound.functional.contrastive import nt_xent

FEATURES = 128
LARGE = 8192
Loss = Callable[[Tensor, Tensor], Tensor]


def run() -> list[Row]:
    rows = []
    for pairs, name, peer, target, rounds in (
        (512, "lightly", _lightly(), 1.3, 20),
        (128, "pytorch-metric-learning", _metric_learning(128), 100, 5),
    ):
        ours, theirs = median_seconds(_step(nt_xent, pairs), _step(peer, pairs), rounds=rounds)
        rows.append(
            Row(
                f"NT-Xent, {pairs} pairs of {FEATURES}, against {name}",
                ours * 1e3,
                theirs * 1e3,
                theirs / ours,
                target,
                "ms",
            )
        )
    memory, theirs = peak_growth_mib(prepare_ours), peak_growth_mib(prepare_lightly)
    what = f"NT-Xent, {LARGE} pairs of {FEATURES}, peak memory over lightly's"
    rows.append(Row(what, memory, theirs, memory / theirs, 0.25, "MiB", at_most=True))
    return rows


def prepare_ours() -> Callable[[], None]:
    return _prepare(nt_xent)


def prepare_lightly() -> Callable[[], None]:
    return _prepare(_lightly())


def _prepare(loss: Loss) -> Callable[[], None]:
    _step(loss, 16)()
    return _step(loss, LARGE)


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


if __name__ == "__main__":
    print(*run(), sep="\n")
