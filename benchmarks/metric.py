"""Metric losses forward and backward against pytorch-metric-learning's, and the memory of those over pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.row import Row, median_seconds, peak_growth_mib
from unconfound.methods.metric_losses import build_metric_loss
from unconfound.options.methods.metric_settings import LossName

FEATURES, CLASSES, INSTANCES = 128, 256, 4
# Losses, batch, and the speed-up to reach. The library's NT-Xent would need some 40 GiB for a batch of 1,024, its
# contrast of signal and noise 4 GiB.
TIMED: tuple[tuple[LossName, int, float, int], ...] = (
    ("contrastive", 256, 0.8, 9),
    ("contrastive", 1024, 0.8, 5),
    ("triplet", 256, 1, 5),
    ("triplet", 1024, 5, 1),
    ("nt-xent", 256, 20, 3),
    ("multi-similarity", 256, 1, 9),
    ("multi-similarity", 1024, 1, 3),
    ("snr-contrastive", 256, 5, 3),
    ("cosface", 256, 1, 9),
    ("cosface", 1024, 1, 5),
    ("proxy-anchor", 1024, 1, 5),
    ("soft-triple", 1024, 1, 5),
)


def run() -> list[Row]:
    rows = []
    for name, batch, target, rounds in TIMED:
        ours, theirs = median_seconds(_step(name, batch, "ours"), _step(name, batch, "published"), rounds=rounds)
        what = f"{name}, {batch} samples of {FEATURES}, against pytorch-metric-learning"
        rows.append(Row(what, ours * 1e3, theirs * 1e3, theirs / ours, target, "ms"))
    for name, batch in (("triplet", 1024), ("nt-xent", 256)):
        memory, theirs = (peak_growth_mib(partial(prepare, name, batch, kind)) for kind in ("ours", "published"))
        what = f"{name}, {batch} samples of {FEATURES}, peak memory over pytorch-metric-learning's"
        rows.append(Row(what, memory, theirs, memory / theirs, 0.1, "MiB", at_most=True))
    return rows


def prepare(name: LossName, batch: int, implementation: str) -> Callable[[], object]:
    _step(name, 16, implementation)()
    return _step(name, batch, implementation)


def _step(name: LossName, batch: int, implementation: str) -> Callable[[], object]:
    """What an encoder pays for the loss: its value and the gradient with respect to embeddings and proxies."""
    torch.manual_seed(0)
    loss = build_metric_loss(name, classes=CLASSES, features=FEATURES, implementation=implementation)
    embeddings = torch.randn(batch, FEATURES, requires_grad=True)
    labels = torch.arange(batch) // INSTANCES
    inputs: list[Tensor] = [embeddings, *loss.parameters()]

    def step() -> None:
        torch.autograd.backward(loss(embeddings, labels), inputs=inputs)

    return step


if __name__ == "__main__":
    print(*run(), sep="\n")
