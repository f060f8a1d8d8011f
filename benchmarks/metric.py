"""Metric losses forward and backward against pytorch-metric-learning's, and the memory of those over pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, held, timed
from benchmarks.row import LeftOut, Row
from unconfound.methods.metric.losses import build_metric_loss
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


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    for name, whole, target, rounds in TIMED:
        batch = scale.of(whole, 16)
        yield timed(
            f"{name}, {batch} samples of {FEATURES}, against pytorch-metric-learning",
            _step(name, batch, "ours"),
            lambda name=name, batch=batch: _step(name, batch, "published"),
            target=target,
            rounds=rounds,
            scale=scale,
            unit="ms",
        )
    sides: tuple[tuple[LossName, int], ...] = (("triplet", scale.of(1024, 16)), ("nt-xent", scale.of(256, 16)))
    for name, batch in sides:
        what = f"{name}, {batch} samples of {FEATURES}, peak memory over pytorch-metric-learning's"
        ours, published = (partial(prepare, name, batch, kind) for kind in ("ours", "published"))
        yield held(what, ours, published, target=0.1, scale=scale)


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
