"""Closed-form maps that take a nuisance out of embeddings, against one covariance of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from benchmarks.measure import WHOLE, Scale, timed
from benchmarks.row import LeftOut, Row
from unconfound.functional.erasure import leace, nuisance_attribute_projection, within_pair_whitening


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    rows, features = scale.of((50_000, 512), (200, 8))
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(rows, features, generator=generator)
    labels = torch.randint(0, 10, (rows,), generator=generator)
    pairs, directions = embeddings.view(rows // 2, 2, features), features // 4
    maps: dict[str, Callable[[], object]] = {
        "NAP": lambda: nuisance_attribute_projection(pairs, directions=directions),
        "within-pair whitening": lambda: within_pair_whitening(pairs, directions=directions),
        "LEACE": lambda: leace(embeddings, labels),
    }

    def covariance() -> object:
        # The maps, too, are found in float64.
        return embeddings.double().T.cov()

    for name, ours in maps.items():
        yield timed(
            f"{name} of {rows:,} x {features}, x a covariance in float64",
            ours,
            lambda: covariance,
            target=2.0,
            rounds=5,
            scale=scale,
            at_most=True,
        )
