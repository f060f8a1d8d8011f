"""The figures of test sets and of the validation part: by classifier, linear probe, neighbours and retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from unconfound.evaluation.background import background_gap
from unconfound.evaluation.class_figures import class_figures, top_5
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.group_figures import group_figures
from unconfound.evaluation.intervals import share
from unconfound.evaluation.knn import knn_predict
from unconfound.evaluation.predictions import Predictions, classifier_predictions, probe_predictions
from unconfound.evaluation.probe import LinearProbe
from unconfound.evaluation.retrieval_figures import first_hit_figures, retrieval_figures

# What is added to the name of a figure that is not the linear probe's.
SUFFIX = {"classifier": "_classifier", "linear_probe": "", "exchanged_probe": "_exchanged_probe", "knn": "_knn"}


@dataclass(frozen=True, eq=False)
class SetFigures:
    """Figures as `Evaluation` holds them.

    Args:
        tests: set -> metric -> figure.
        groups: set -> group -> accuracy of the linear probe.
        classifier_groups: the same of the classifier.
        predictions: predictor ("classifier", "linear_probe", "exchanged_probe", "knn") -> set -> predictions of its
            labelled samples.
        background: what is known of reliance on background without these predictions.
        notes: what the figures do not show.
        further: set -> metric -> figure that tables leave out.
        of_classes: set -> class -> accuracy of the linear probe.
    """

    tests: dict[str, dict[str, Figure]]
    groups: dict[str, dict[str, Figure]] = field(default_factory=dict)
    classifier_groups: dict[str, dict[str, Figure]] = field(default_factory=dict)
    predictions: dict[str, dict[str, Predictions]] = field(default_factory=dict)
    background: dict[str, Figure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    further: dict[str, dict[str, Figure]] = field(default_factory=dict)
    of_classes: dict[str, dict[str, Figure]] = field(default_factory=dict)

    def beside(self, others: SetFigures) -> SetFigures:
        """Add sets of which there are no predictions."""
        return replace(
            self,
            tests=self.tests | others.tests,
            background=self.background | others.background,
            notes=(*self.notes, *others.notes),
            further=self.further | others.further,
        )


def figures_of_sets(
    train: Embeddings,
    sets: Mapping[str, Embeddings],
    *,
    probes: Mapping[str, LinearProbe],
    classifier: nn.Linear | None,
    classes: Sequence[str],
    group_names: Sequence[str],
    neighbours: int,
    clock: Clock,
) -> SetFigures:
    """Evaluate sets by the trained classifier, linear probes, nearest neighbours, retrieval and groups.

    Args:
        train: labelled samples, for the neighbours and the groups' weights.
        sets: labelled samples by the name of their set.
        probes: "linear_probe", fitted on `train`, and others by name, which give accuracies alone.
        classifier: with as many outputs as there are classes, or None.
        classes: names of the classes.
        group_names: those of the groups; none where there are no groups.
        neighbours: training samples that vote in kNN.
        clock: takes the time of the stages "knn" and "retrieval".
    """
    predictions = predictions_of(sets, probes=probes, classifier=classifier)
    with clock.stage("knn"):
        predictions["knn"] = {
            name: Predictions(knn_predict(train, each, neighbours=neighbours)) for name, each in sets.items()
        }
    labels = {name: each.labelled()[1] for name, each in sets.items()}
    tests = accuracies(sets, predictions)
    further = {
        name: _top_5(each, labels[name], probe=probes["linear_probe"], classifier=classifier)
        for name, each in sets.items()
    }
    with clock.stage("retrieval"):
        for name, each in sets.items():
            if _has_pairs(labels[name]):
                tests[name] |= retrieval_figures(each)
                further[name] |= first_hit_figures(each)
    by_group: dict[str, dict[str, dict[str, Figure]]] = {"classifier": {}, "linear_probe": {}}
    for name, each in sets.items():
        # A domain that was left out of training may be in none of its groups.
        if not group_names or each.groups is None or not bool((each.groups >= 0).any()):
            continue
        for predictor in (predictor for predictor in by_group if predictor in predictions):
            overall, by_group[predictor][name] = group_figures(
                predictions[predictor][name].classes, each, names=group_names, train_groups=train.groups
            )
            tests[name] |= {f"{metric}{SUFFIX[predictor]}": figure for metric, figure in overall.items()}
    return SetFigures(
        tests=tests,
        groups=by_group["linear_probe"],
        classifier_groups=by_group["classifier"],
        predictions=predictions,
        further={name: figures for name, figures in further.items() if figures},
        of_classes={
            name: class_figures(predictions["linear_probe"][name].classes, right, names=classes)
            for name, right in labels.items()
        },
        notes=(*_remarks(labels, train.labelled()[1], classes), *_small_groups(by_group["linear_probe"])),
    )


def predictions_of(
    sets: Mapping[str, Embeddings], *, probes: Mapping[str, LinearProbe], classifier: nn.Linear | None
) -> dict[str, dict[str, Predictions]]:
    """Return what the classifier, where there is one, and linear probes predict of sets, by predictor."""
    predictions: dict[str, dict[str, Predictions]] = {}
    if classifier is not None:
        predictions["classifier"] = {name: classifier_predictions(classifier, each) for name, each in sets.items()}
    for predictor, probe in probes.items():
        predictions[predictor] = {name: probe_predictions(probe, each) for name, each in sets.items()}
    return predictions


def accuracies(
    sets: Mapping[str, Embeddings], predictions: Mapping[str, Mapping[str, Predictions]]
) -> dict[str, dict[str, Figure]]:
    """Return set -> predictor -> accuracy."""
    return {
        name: {predictor: share(given[name].classes == each.labelled()[1]) for predictor, given in predictions.items()}
        for name, each in sets.items()
    }


def background_gaps(
    sets: Mapping[str, Embeddings], predictions: Mapping[str, Mapping[str, Predictions]]
) -> dict[str, Figure]:
    """Give background_gap of the linear probe, and those of the other predictors; empty without swapped backgrounds."""
    return {
        f"background_gap{SUFFIX[predictor]}": background_gap(
            sets["mixed-same"],
            sets["mixed-rand"],
            same_predictions=given["mixed-same"].classes,
            rand_predictions=given["mixed-rand"].classes,
        )
        for predictor, given in predictions.items()
        if {"mixed-same", "mixed-rand"} <= given.keys()
    }


def _top_5(
    embeddings: Embeddings, labels: Int[Tensor, " samples"], *, probe: LinearProbe, classifier: nn.Linear | None
) -> dict[str, Figure]:
    figures = {"top_5": top_5(probe.logits(embeddings), probe.classes, labels)}
    if classifier is not None:
        with torch.no_grad():
            logits = classifier(embeddings.features.to(classifier.weight.dtype))
        figures["top_5_classifier"] = top_5(logits, torch.arange(logits.shape[1]), labels)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _has_pairs(labels: Int[Tensor, " samples"]) -> bool:
    return len(labels.unique()) < len(labels)


def _remarks(labels: Mapping[str, Tensor], train_labels: Int[Tensor, " samples"], classes: Sequence[str]) -> list[str]:
    """Say what the figures of the sets do not show."""
    remarks, trained = [], train_labels.unique()
    for test, given in labels.items():
        if not _has_pairs(given):
            remarks.append(f"{test}: no two samples share a class, so that there is nothing to retrieve")
        present = given.unique()
        unseen = ~torch.isin(given, trained)
        if bool(unseen.any()):
            remarks.append(
                f"{test}: {int(unseen.sum())} samples count as wrong, for no training sample is of their class "
                f"({_listed(given[unseen].unique(), classes)})"
            )
        absent = trained[~torch.isin(trained, present)]
        if len(absent):
            remarks.append(f"{test}: no samples of class {_listed(absent, classes)}")
    return remarks


def _small_groups(by_group: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """Say where the worst group may be an accident."""
    remarks = []
    for test, figures in by_group.items():
        small = [f"{name} ({figure.samples})" for name, figure in figures.items() if figure.too_few]
        if small:
            more = f" and {len(small) - 5} more" if len(small) > 5 else ""
            remarks.append(
                f"{test}: too few samples to tell how well these groups are recognised, and whether one of them is the "
                f"worst: {', '.join(small[:5])}{more}"
            )
    return remarks


def _listed(labels: Int[Tensor, " some"], classes: Sequence[str]) -> str:
    names = [classes[label] if label < len(classes) else str(label) for label in labels[:5].tolist()]
    return ", ".join(names) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
