"""Precision at 1, R-precision and MAP@R against pytorch-metric-learning, and the memory of a large set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, Step, peak_growth_mib, timed
from benchmarks.row import LeftOut, Row
from unconfound.functional.retrieval_metrics import retrieval_metrics

CLASSES = 100


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    embeddings, labels = _clusters(scale.of(6_000, 300), 128)
    # Its default ranks all rows; "max_bin_count" ranks as many as these metrics need.
    for name, ranked in (("as it comes", None), ("told to rank no more than needed", "max_bin_count")):
        yield timed(
            f"P@1, RP, MAP@R of {len(labels):,} x 128, {CLASSES} classes, against AccuracyCalculator {name}",
            lambda: retrieval_metrics(embeddings, labels),
            lambda ranked=ranked: _peer(embeddings, labels, ranked),
            target=30,
            rounds=3,
            scale=scale,
        )
    large = scale.of(60_000, 600)
    growth = peak_growth_mib(partial(prepare_large, large), scale=scale)
    yield Row(f"P@1, RP, MAP@R of {large:,} x 512, peak memory", growth, None, growth, 2048, "MiB", at_most=True)


def prepare_large(samples: int) -> Callable[[], dict[str, float]]:
    retrieval_metrics(*_clusters(300, 512))
    embeddings, labels = _clusters(samples, 512)
    return lambda: retrieval_metrics(embeddings, labels)


def _peer(embeddings: Tensor, labels: Tensor, ranked: str | None) -> Step:
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    metrics = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=metrics, k=ranked, device=torch.device("cpu"))
    # It can give the embeddings no unit length; here they have it already.
    return lambda: calculator.get_accuracy(embeddings, labels)


def _clusters(samples: int, features: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (samples,), generator=generator)
    centres = torch.randn(CLASSES, features, generator=generator)
    embeddings = 0.5 * centres[labels] + torch.randn(samples, features, generator=generator)
    return torch.nn.functional.normalize(embeddings, dim=1), labels
