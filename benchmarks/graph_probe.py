"""Ten-fold cross-validation of a linear probe against scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, median_seconds
from benchmarks.row import LeftOut, Row
from unconfound.data import Graphs
from unconfound.encoders.gin import GIN
from unconfound.evaluation import Embeddings, cross_validate_probe
from unconfound.evaluation.folds import stratified_folds

STRENGTH = 1e-2


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    samples, features = scale.of((2_000, 2_048), (60, 16))
    embeddings = _embeddings(samples, features)
    values, labels = embeddings.features.double().numpy(), embeddings.labels.numpy()
    # Of two classes it fits one row of weights, the difference of our two, whose penalty is then half as large.
    probe = LogisticRegression(C=2 / (STRENGTH * samples * 0.9), tol=1e-4, max_iter=10_000)
    for repeats in (1, scale.of(5, 2)):
        assignment = stratified_folds(embeddings.labels, folds=10, repeats=repeats)
        accuracies: dict[str, float] = {}

        def ours(repeats: int = repeats, accuracies: dict[str, float] = accuracies) -> None:
            result = cross_validate_probe(embeddings, repeats=repeats, strengths=[STRENGTH], tolerance=1e-4)
            accuracies["ours"] = float(result.accuracies.mean())

        def peer(assignment: Tensor = assignment, accuracies: dict[str, float] = accuracies) -> None:
            scores = [
                cross_val_score(make_pipeline(StandardScaler(), probe), values, labels, cv=PredefinedSplit(fold))
                for fold in assignment.numpy()
            ]
            accuracies["peer"] = float(np.mean(scores))

        mine, theirs = median_seconds(ours, peer, rounds=1)
        what = (
            f"{repeats} x 10-fold linear probe of {samples:,} x {features:,}, "
            f"{accuracies['ours']:.1%} accuracy, cross_val_score {accuracies['peer']:.1%}"
        )
        yield Row(what, mine, theirs, theirs / mine, 10, "s")


def _embeddings(samples: int, columns: int) -> Embeddings:
    """What an untrained GIN of four layers makes of graphs of 20 to 199 nodes, whose edges prefer some nodes.

    Such features are strongly correlated, as those of all graph encoders that sum over nodes: that is what makes the
    peer slow, and made-up features without it would not show.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % 2
    sizes = torch.randint(20, 200, (samples,), generator=generator)
    skew = 1 + 0.5 * labels + 0.5 * torch.rand(samples, generator=generator)
    first, parts = 0, []
    for size, power in zip(sizes.tolist(), skew.tolist(), strict=True):
        ends = (size * torch.rand(2, 2 * size, generator=generator) ** power).long() + first
        parts += [ends, ends.flip(0)]
        first += size
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        features = GIN(1, width=columns // 4, depth=4)(Graphs(torch.ones(first, 1), torch.cat(parts, 1), sizes))
    return Embeddings(features.clone(), torch.arange(samples), labels)
