"""The ways in which an encoder is mended: a new classifier alone, or a map of its embeddings and a new classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.functional.erasure import AffineMap, leace, nuisance_attribute_projection, within_pair_whitening
from unconfound.mending.exchanged import Exchanged

Way = Literal["refit", "leace", "nap", "whitening"]


@dataclass(frozen=True, eq=False)
class Remedy:
    """What is put behind an encoder.

    Args:
        change: of the embeddings; None where they stay as they are.
        classifier: of the embeddings so changed, fitted on exchanged backgrounds.
    """

    change: AffineMap | None
    classifier: nn.Linear

    def of(self, rows: Float[Tensor, "*sets features"]) -> Float[Tensor, "*sets kept"]:
        """Change embeddings."""
        return rows if self.change is None else self.change.of(rows)


def find_remedy(way: Way, exchanged: Exchanged, *, directions: int, classes: int, seed: int) -> Remedy:
    """Find the map of a way, and fit a classifier of the mapped embeddings of exchanged images.

    Args:
        way: "refit" (no map), "nap" (`nuisance_attribute_projection`), "whitening" (`within_pair_whitening`), both of
            each image on its own and on exchanged backgrounds, or "leace" (`leace`, which erases the class of the image
            that gave the background, of exchanged images).
        exchanged: the training images.
        directions: that nap removes and whitening keeps.
        classes: of the classifier; those that have no image are never its answer.
        seed: of the split by which the classifier's regularisation is chosen.

    Raises:
        ValueError: `directions` does not fit the embeddings, or there are fewer than two classes.
    """
    change: AffineMap | None = None
    versions = torch.cat([exchanged.own[:, None], exchanged.others], 1)
    if way == "nap":
        change = nuisance_attribute_projection(versions, directions=directions)
    elif way == "whitening":
        change = within_pair_whitening(versions, directions=directions)
    elif way == "leace":
        change = leace(exchanged.others.flatten(0, 1), exchanged.donors.flatten())
    rows = exchanged.others if change is None else change.of(exchanged.others)
    return Remedy(change, _linear(_fitted(rows, exchanged.labels, seed=seed), classes=classes))


def _fitted(rows: Float[Tensor, "samples exchanges features"], labels: Tensor, *, seed: int) -> LinearProbe:
    """Fit a probe to all exchanges, its regularisation chosen on one of each image.

    With all of them, images would be on both sides of the split by which it is chosen.
    """
    samples, exchanges, _ = rows.shape
    index = torch.arange(samples)
    chosen = fit_probe(Embeddings(rows[:, 0], index, labels), seed=seed)
    every = Embeddings(rows.flatten(0, 1), index.repeat_interleave(exchanges), labels.repeat_interleave(exchanges))
    return fit_probe(every, seed=seed, strengths=(chosen.strength,))


def _linear(probe: LinearProbe, *, classes: int) -> nn.Linear:
    """Write a probe as a linear layer of embeddings that are not standardised."""
    weight = probe.weights / probe.scale
    linear = nn.Linear(weight.shape[1], classes)
    with torch.no_grad():
        linear.weight.zero_()
        # Far below what any class with images can have.
        linear.bias.fill_(-1e9)
        linear.weight[probe.classes] = weight.to(linear.weight)
        linear.bias[probe.classes] = (probe.bias - weight @ probe.mean).to(linear.bias)
    return linear.eval().requires_grad_(False)
