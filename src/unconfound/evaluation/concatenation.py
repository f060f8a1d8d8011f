"""Embeddings of several encoders side by side, retrieved once, as "A Metric Learning Reality Check" evaluates folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from unconfound.evaluation.clock import Clock
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation
from unconfound.evaluation.unseen import evaluate_unseen
from unconfound.functional.similarity import normalize


def concatenate(parts: Sequence[Embeddings], *, normalised: bool = True) -> Embeddings:
    """Put what several encoders make of the same samples side by side.

    Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (ECCV 2020), section 3.2: each encoder's embedding is
    normalised to length 1 first, so that all weigh alike. The released code of "Deep Causal Metric Learning" (ICML
    2022) leaves them at their lengths; retrieval by cosine then normalises the whole once, and an encoder of long
    embeddings outweighs the others.

    Args:
        parts: one an encoder; [samples, features] each, of any width.
        normalised: each before all are put together.

    Returns:
        [samples, sum of all features].

    Raises:
        ValueError: there are none, or they do not hold the same samples with the same labels in the same order.
    """
    if not parts:
        raise ValueError("there are no embeddings to put side by side: give those of one encoder or more")
    first = parts[0]
    for place, part in enumerate(parts):
        labels = [each.labels for each in (first, part)]
        if not torch.equal(part.index, first.index) or not (
            labels[0] is labels[1] is None
            or (labels[0] is not None and labels[1] is not None and torch.equal(labels[0], labels[1]))
        ):
            raise ValueError(
                f"embeddings {place} hold {len(part)} samples that are not the {len(first)} of embeddings 0 in the "
                "same order: embed the same test set by every encoder"
            )
    rows = [normalize(part.features) if normalised else part.features for part in parts]
    return Embeddings(torch.cat(rows, 1), first.index, first.labels, first.groups, first.names)


def concatenated_evaluations(folds: Sequence[Mapping[str, Embeddings]], *, name: str) -> dict[str, Evaluation]:
    """Evaluate the encoders of all folds together by retrieval.

    Args:
        folds: test set -> embeddings, for each fold's encoder.
        name: how tables call the whole.

    Returns:
        "each" (every embedding normalised before) and "once" (only the whole is), with precision_at_1, r_precision
        and map_at_r of each test set, and what `retrieval_on_backgrounds` gives.

    Raises:
        ValueError: as `concatenate`, or a test set has no labels.
    """
    evaluations = {}
    for form, normalised in {"each": True, "once": False}.items():
        sets = {
            test: concatenate([fold[test] for fold in folds], normalised=normalised).labelled()[0] for test in folds[0]
        }
        found = evaluate_unseen(sets, clock=Clock(name, None, stages=0))
        evaluations[form] = Evaluation(
            name=name,
            tests=found.tests,
            background=found.background,
            settings={"features": next(iter(sets.values())).features.shape[1], "folds": len(folds)},
            notes=found.notes,
        )
    return evaluations
