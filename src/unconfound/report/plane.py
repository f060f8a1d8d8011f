"""Embeddings on a plane, for the eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from unconfound.functional.inputs import check_finite
from unconfound.report.pictures import evenly_spaced

PERPLEXITY = 30
STEPS = 500  # the picture hardly changes after half of the customary thousand


@dataclass(frozen=True)
class Plane:
    """Some samples on a plane.

    Args:
        points: the first coordinate spans [0, 1]; the second starts at 0 and spans at most as much, in the same unit.
        rows: which rows of the features the points are.
        method: how the plane was found, in words.
    """

    points: Float[np.ndarray, "points 2"]
    rows: Int[Tensor, " points"]
    method: str


def project(features: Float[Tensor, "samples features"], *, limit: int = 600, seed: int = 0) -> Plane:
    """Lay at most `limit` evenly spaced samples out on a plane.

    t-SNE (van der Maaten and Hinton, JMLR 2008) keeps neighbours together; where there are too few samples for its
    perplexity, or they have fewer than three features, the two leading principal components are used instead.

    Args:
        features: finite.
        limit: the time grows a little faster than in proportion: 600 points take about a second on one core.
        seed: of t-SNE's optimisation.

    Raises:
        ValueError: there are fewer than two samples, or one is not finite.
    """
    check_finite("embeddings", features)
    if len(features) < 2:
        raise ValueError(f"a map needs at least 2 samples, got {len(features)}")
    rows = evenly_spaced(len(features), limit)
    values = features[rows].double().numpy()
    # Scale says nothing about neighbours, and a vanishing or enormous one upsets both methods.
    values = values - values.mean(0)
    values = values / (np.abs(values).max() or 1.0)
    width = values.shape[1]
    if len(values) > 3 * PERPLEXITY and width > 2 and values.any():
        # Fewer columns make t-SNE's distances quick and change them little.
        components = min(50, width)
        reduced = PCA(components, random_state=seed).fit_transform(values) if width > components else values
        points = TSNE(perplexity=PERPLEXITY, init="pca", max_iter=STEPS, random_state=seed).fit_transform(reduced)
        method = f"t-SNE (perplexity {PERPLEXITY}, seed {seed})"
    elif width > 2 and values.any():
        points, method = PCA(2, random_state=seed).fit_transform(values), "the first two principal components"
    else:
        points = np.pad(values, ((0, 0), (0, max(0, 2 - width))))[:, :2]
        method = "its own coordinates"
    points = points.astype(np.float64) - points.min(0)
    # Lying down, the cloud makes the most of the width of a screen.
    points = points if points[:, 0].max() >= points[:, 1].max() else points[:, ::-1]
    return Plane(points / (points.max() or 1.0), rows, method)
