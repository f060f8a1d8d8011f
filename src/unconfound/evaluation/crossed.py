"""Every figure of one encoder on data without a test set."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from unconfound.evaluation.adam_probe import cross_validate_adam_probe
from unconfound.evaluation.class_figures import class_figures
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.cross_validation import cross_validate_knn, cross_validate_probe
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.folds import CrossValidation
from unconfound.evaluation.group_figures import group_figures
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.retrieval_figures import first_hit_figures, retrieval_figures
from unconfound.evaluation.svm import cross_validate_svm

TEST = "cross-validation"
# Beyond so many samples folds are assigned once, and there is no SVM, whose time grows with their square or more.
MANY = 5_000


def crossed_evaluation(
    embeddings: Embeddings,
    *,
    name: str,
    groups: Sequence[str],
    classes: Sequence[str] = (),
    clock: Clock,
    judging: Judging,
) -> Evaluation:
    """Evaluate embeddings by repeated stratified cross-validation, and by retrieval of each from all others.

    All figures stand under the test set "cross-validation". Linear probe, the probe of the graph papers to the letter
    ("adam_probe"), SVM and kNN are evaluated on the same folds; the figures of groups and classes are those of the
    linear probe in the first repeat.

    Args:
        embeddings: with labels.
        name: how tables and pictures call the encoder.
        groups: the names of the groups, or none.
        classes: the names of the classes 0, 1, ...; numbers without.
        clock: takes the time of five stages at most.
        judging: neighbours, seed, folds and repeats, of which one is made beyond 5,000 samples.

    Raises:
        ValueError: fewer than two classes, fewer samples than folds, more neighbours than training samples.
    """
    known, labels = embeddings.labelled()
    neighbours, seed, folds = judging.neighbours, judging.seed, judging.folds
    repeats = judging.repeats if len(known) <= MANY else 1
    crossed: dict[str, CrossValidation] = {}
    with clock.stage("probe"):
        crossed["linear_probe"] = cross_validate_probe(known, folds=folds, repeats=repeats, seed=seed)
        crossed["adam_probe"] = cross_validate_adam_probe(known, folds=folds, repeats=repeats, seed=seed)
    notes = list(crossed["linear_probe"].notes)
    with clock.stage("svm"):
        if len(known) <= MANY:
            crossed["svm"] = cross_validate_svm(known, folds=folds, repeats=repeats, seed=seed)
        else:
            notes.append(
                f"no SVM is fitted, and folds are assigned once: {len(known):,} samples are more than {MANY:,}"
            )
    with clock.stage("knn"):
        crossed["knn"] = cross_validate_knn(known, neighbours=neighbours, folds=folds, repeats=repeats, seed=seed)
    figures: dict[str, Figure] = {metric: each.figure() for metric, each in crossed.items()}
    further: dict[str, dict[str, Figure]] = {}
    with clock.stage("retrieval"):
        if len(labels.unique()) < len(labels):
            figures |= retrieval_figures(known)
            further[TEST] = first_hit_figures(known)
        else:
            notes.append("no two samples share a class, so that there is nothing to retrieve")
    by_group: dict[str, dict[str, Figure]] = {}
    if known.groups is not None and groups:
        overall, by_group[TEST] = group_figures(
            crossed["linear_probe"].predictions[0], known, names=groups, train_groups=known.groups
        )
        figures |= overall
    return Evaluation(
        name=name,
        tests={TEST: figures},
        groups=by_group,
        settings={
            "neighbours": neighbours,
            "seed": seed,
            "features": known.features.shape[1],
            "samples": len(known),
            "folds": folds,
            "repeats": repeats,
            "accuracy_of_each_repeat": {metric: each.of_repeats() for metric, each in crossed.items()},
            "deviation_over_repeats": {
                metric: statistics.stdev(each.of_repeats()) for metric, each in crossed.items() if repeats > 1
            },
            "chosen": {metric: _counted(each.chosen) for metric, each in crossed.items() if each.chosen is not None},
            "seconds": clock.seconds,
        },
        notes=tuple(notes),
        further=further,
        classes={TEST: class_figures(crossed["linear_probe"].predictions[0], labels, names=classes)},
    )


def _counted(chosen: Float[Tensor, "repeats folds"]) -> dict[str, int]:
    """How often each hyper-parameter was chosen, in all folds and repeats."""
    values, counts = chosen.unique(return_counts=True)
    return {f"{value:g}": count for value, count in zip(values.tolist(), counts.tolist(), strict=True)}
