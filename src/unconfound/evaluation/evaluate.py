"""Every figure of one encoder on one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from rich.progress import Progress
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.evaluation.background import background_gap, train_test_cells
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.crossed import crossed_evaluation
from unconfound.evaluation.embed import Embeddings, Encoder, embed
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.groups import group_figures
from unconfound.evaluation.intervals import share
from unconfound.evaluation.knn import knn_predict
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.evaluation.retrieval import retrieval_figures


def evaluate(
    encoder: Encoder,
    dataset: Dataset,
    *,
    name: str,
    neighbours: int = 5,
    seed: int = 0,
    folds: int = 10,
    repeats: int = 5,
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    precision: str = "32",
    progress: Progress | None = None,
) -> tuple[Evaluation, dict[str, Embeddings]]:
    """Judge an encoder by a linear probe, nearest neighbours, retrieval, groups and background.

    Every source is embedded once. The probe and the neighbours come from the labelled training samples. Whatever the
    data do not allow (background without known foregrounds, groups without groups) is left out. Data without a test set
    are judged by cross-validation over the labelled samples: see `crossed_evaluation`.

    Args:
        encoder: any module or function that turns a batch of the data's inputs into [batch, features].
        dataset: labelled.
        name: how tables and pictures call the encoder.
        neighbours: training samples that vote in kNN.
        seed: of the probe's validation split, or of the folds.
        folds: of a cross-validation.
        repeats: of a cross-validation, each with other folds; one where there are more than 5,000 samples.
        batch_size: samples a pass through the encoder.
        device: where the encoder runs.
        precision: "32", "bf16-mixed" or "16-mixed".
        progress: where bars are shown.

    Returns:
        The figures, and the embeddings by source: "train", and with test sets these and "train-foreground", if known.

    Raises:
        ValueError: no labels in training or in a test set, fewer than two training classes, more neighbours than
            training samples, fewer samples than folds, or an embedding that is not finite.
    """
    sources = _sources(dataset)
    classes, group_names = sources["train"].schema.classes, sources["train"].schema.groups
    clock = Clock(name, progress, stages=4 if dataset.tests else 5)
    with clock.stage("embed"):
        embeddings = {
            key: embed(encoder, source, batch_size=batch_size, device=device, precision=precision, progress=progress)
            for key, source in sources.items()
        }
    if not dataset.tests:
        judged = crossed_evaluation(
            embeddings["train"],
            name=name,
            groups=group_names,
            clock=clock,
            neighbours=neighbours,
            seed=seed,
            folds=folds,
            repeats=repeats,
        )
        return judged, embeddings
    train, train_labels = embeddings["train"].labelled()
    known = {test: embeddings[test].labelled()[0] for test in dataset.tests}
    labels = {test: embeddings[test].labelled()[1] for test in dataset.tests}
    with clock.stage("probe"):
        probes = {"full": fit_probe(train, seed=seed)}
        if "train-foreground" in embeddings:
            probes["foreground"] = fit_probe(embeddings["train-foreground"], seed=seed)
        answers = {"linear_probe": {test: probes["full"].predict(each) for test, each in known.items()}}
    with clock.stage("knn"):
        answers["knn"] = {test: knn_predict(train, each, neighbours=neighbours) for test, each in known.items()}
    tests: dict[str, dict[str, Figure]] = {
        test: {metric: share(given[test] == right) for metric, given in answers.items()}
        for test, right in labels.items()
    }
    with clock.stage("retrieval"):
        for test, each in known.items():
            if _has_pairs(labels[test]):
                tests[test] |= retrieval_figures(each)
    groups: dict[str, dict[str, Figure]] = {}
    for test, each in known.items():
        if each.groups is not None and group_names:
            overall, groups[test] = group_figures(
                answers["linear_probe"][test], each, names=group_names, train_groups=train.groups
            )
            tests[test] |= overall
    evaluation = Evaluation(
        name=name,
        tests=tests,
        groups=groups,
        background=_background(known, answers),
        cells=_cells(known, probes),
        settings={
            "neighbours": neighbours,
            "seed": seed,
            "features": train.features.shape[1],
            "probe_strength": {shown: probe.strength for shown, probe in probes.items()},
            "train_samples": len(train),
            "test_samples": {test: len(each) for test, each in known.items()},
            "seconds": clock.seconds,
        },
        notes=tuple(
            [note for probe in probes.values() for note in probe.notes] + _remarks(labels, train_labels, classes)
        ),
    )
    return evaluation, embeddings


def _sources(dataset: Dataset) -> dict[str, Source]:
    if dataset.labelled is None:
        raise ValueError(f"{dataset.train.name} has no labels, which evaluation needs; `embed` works without them")
    for test, source in dataset.tests.items():
        if source.labels is None or not bool((source.labels >= 0).any()):
            raise ValueError(f"the test set {test} has no labels, which evaluation needs; `embed` works without them")
    sources = {"train": dataset.labelled}
    if dataset.train_foreground is not None and dataset.tests:
        sources["train-foreground"] = dataset.train_foreground
    return sources | dataset.tests


def _has_pairs(labels: Int[Tensor, " samples"]) -> bool:
    return len(labels.unique()) < len(labels)


def _background(known: Mapping[str, Embeddings], answers: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Figure]:
    if not {"mixed-same", "mixed-rand"} <= known.keys():
        return {}
    keys = {"linear_probe": "background_gap", "knn": "background_gap_knn"}
    return {
        keys[metric]: background_gap(
            known["mixed-same"],
            known["mixed-rand"],
            same_predictions=given["mixed-same"],
            rand_predictions=given["mixed-rand"],
        )
        for metric, given in answers.items()
    }


def _cells(known: Mapping[str, Embeddings], probes: Mapping[str, LinearProbe]) -> dict[str, Figure]:
    if "foreground" not in probes or not {"original", "only-foreground"} <= known.keys():
        return {}
    return train_test_cells(probes, {"full": known["original"], "foreground": known["only-foreground"]})


def _remarks(labels: Mapping[str, Tensor], train_labels: Int[Tensor, " samples"], classes: Sequence[str]) -> list[str]:
    """Say what the figures of the test sets do not show."""
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


def _listed(labels: Int[Tensor, " some"], classes: Sequence[str]) -> str:
    names = [classes[label] if label < len(classes) else str(label) for label in labels[:5].tolist()]
    return ", ".join(names) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
