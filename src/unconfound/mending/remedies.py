"""The ways in which an encoder is mended: a new classifier alone, or a map of its embeddings and a new classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.evaluation.embeddings import Embeddings
from unconfound.functional.erasure import AffineMap, leace, nuisance_attribute_projection, within_pair_whitening
from unconfound.mending.exchanged import Exchanged
from unconfound.mending.exchanged_classifier import exchanged_classifier

Way = Literal["refit", "leace", "nap", "whitening", "fine-tune"]


@dataclass(frozen=True, eq=False)
class Remedy:
    """What is put behind an encoder.

    Args:
        change: of the embeddings; None where they stay as they are.
        classifier: of the embeddings so changed, fitted on exchanged backgrounds or nuisances.
    """

    change: AffineMap | None
    classifier: nn.Linear

    def of(self, rows: Float[Tensor, "*sets features"]) -> Float[Tensor, "*sets kept"]:
        """Change embeddings."""
        return rows if self.change is None else self.change.of(rows)

    @torch.no_grad()
    def logits(self, rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows classes"]:
        """Tell the classes apart, from embeddings as the encoder gives them.

        The classifier is applied where it is, on the CPU unless it was moved, and in its type.
        """
        logits: Tensor = self.classifier(self.of(rows).to(self.classifier.weight))
        return logits

    def changed(self, sets: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
        """Change the embeddings of several sets."""
        return dict(sets) if self.change is None else changed(self.change, sets)


def changed(change: AffineMap, sets: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
    """Change the embeddings of several sets by a map."""
    return {name: replace(each, features=change.of(each.features)) for name, each in sets.items()}


def find_remedy(
    way: Way,
    exchanged: Exchanged,
    held_out: Mapping[str, Embeddings],
    *,
    directions: int,
    classes: int,
    seed: int,
) -> Remedy:
    """Find the map of a way, and fit a classifier of the mapped embeddings of exchanged samples.

    Args:
        way: "refit" (no map), "nap" (`nuisance_attribute_projection`), "whitening" (`within_pair_whitening`), both of
            each sample with its own and with exchanged backgrounds or nuisances, or "leace" (`leace`, which erases the
            class of the sample that gave these, of exchanged samples).
        exchanged: training samples; with the samples as they are for "nap" and "whitening".
        held_out: "mixed-same" and "mixed-rand" of other training samples, by which the classifier is chosen.
        directions: that nap removes and whitening keeps.
        classes: of the classifier; those that have no image are never its answer.
        seed: of what is left out where the classifier is fitted.

    Raises:
        ValueError: `directions` does not fit the embeddings, or there are fewer than two classes.
    """
    change: AffineMap | None = None
    if way == "leace":
        change = leace(exchanged.others.flatten(0, 1), exchanged.donors.flatten())
    elif way in ("nap", "whitening"):
        assert exchanged.own is not None
        versions = torch.cat([exchanged.own[:, None], exchanged.others], 1)
        find = nuisance_attribute_projection if way == "nap" else within_pair_whitening
        change = find(versions, directions=directions)
    mapped = exchanged if change is None else replace(exchanged, own=None, others=change.of(exchanged.others))
    sets = held_out if change is None else changed(change, held_out)
    return Remedy(change, exchanged_classifier(mapped, sets, classes=classes, seed=seed))
