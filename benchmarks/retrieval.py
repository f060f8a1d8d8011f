"""Precision at 1, R-precision and MAP@R against pytorch-metric-learning, and the memory of a large set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.row import Row, median_seconds, peak_growth_mib
from unconfound.functional.retrieval import retrieval_metrics

CLASSES = 100


def run() -> list[Row]:
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    metrics = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    embeddings, labels = _clusters(6_000, 128)
    rows = []
    # Its default ranks all rows; "max_bin_count" ranks as many as these metrics need.
    for name, ranked in (("as it comes", None), ("told to rank no more than needed", "max_bin_count")):
        calculator = AccuracyCalculator(include=metrics, k=ranked, device=torch.device("cpu"))
        # It can give the embeddings no unit length; here they have it already.
        peer = lambda calculator=calculator: calculator.get_accuracy(embeddings, labels)  # noqa: E731
        ours, theirs = median_seconds(lambda: retrieval_metrics(embeddings, labels), peer, rounds=3)
        what = f"P@1, RP, MAP@R of 6,000 x 128, {CLASSES} classes, against AccuracyCalculator {name}"
        rows.append(Row(what, ours, theirs, theirs / ours, 30, "s"))
    growth = peak_growth_mib(prepare_large)
    what = "P@1, RP, MAP@R of 60,000 x 512, peak memory"
    rows.append(Row(what, growth, None, growth, 2048, "MiB", at_most=True))
    return rows


def prepare_large() -> Callable[[], dict[str, float]]:
    retrieval_metrics(*_clusters(300, 512))
    embeddings, labels = _clusters(60_000, 512)
    return lambda: retrieval_metrics(embeddings, labels)


def _clusters(samples: int, features: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (samples,), generator=generator)
    centres = torch.randn(CLASSES, features, generator=generator)
    embeddings = 0.5 * centres[labels] + torch.randn(samples, features, generator=generator)
    return torch.nn.functional.normalize(embeddings, dim=1), labels


if __name__ == "__main__":
    print(*run(), sep="\n")
