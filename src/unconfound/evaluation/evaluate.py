"""Every figure of one encoder on one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.progress import Progress
from torch import Tensor, nn

from unconfound.data import Dataset, Source
from unconfound.evaluation.adversarial import adversarial_figures
from unconfound.evaluation.background import train_test_cells
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.crossed import crossed_evaluation
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.exchanged_samples import with_exchanged_samples
from unconfound.evaluation.figures import VALIDATION, Evaluation, Figure, primary_of
from unconfound.evaluation.given_embeddings import GivenEmbeddings
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.morph_figures import morph_figures
from unconfound.evaluation.predictions import Predictions, classifier_predictions, unfit_classifier
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.evaluation.set_figures import SetFigures, background_gaps, figures_of_sets
from unconfound.evaluation.unseen import evaluate_unseen, unseen

# Which probes are predictors on all sets, by what they were fitted on.
PROBES = {"full": "linear_probe", "exchanged": "exchanged_probe"}
SAW_ALL = "the trained classifier is not evaluated: it has seen the labels of all samples of a cross-validation"


class EncoderEvaluation(NamedTuple):
    """What `evaluate` returns.

    Args:
        evaluation: the figures.
        embeddings: by source: "train", and with test sets these, "train-foreground", "train-exchanged" (each training
            image on the background of another) and "validation", if known. Training samples are not embedded where all
            sets are of classes that they do not have.
        predictions: "classifier", "linear_probe", "exchanged_probe" or "knn" -> set -> predictions of its labelled
            samples; nothing of a cross-validation.
    """

    evaluation: Evaluation
    embeddings: dict[str, Embeddings]
    predictions: dict[str, dict[str, Predictions]]


def evaluate(
    encoder: EncoderFunction | GivenEmbeddings,
    dataset: Dataset,
    *,
    name: str,
    classifier: nn.Linear | None = None,
    judging: Judging | None = None,
    progress: Progress | None = None,
) -> EncoderEvaluation:
    """Evaluate an encoder by its own classifier, a linear probe, nearest neighbours, retrieval, groups and background.

    Every source is embedded once. The probe and the neighbours come from the labelled training samples. Whatever the
    data do not allow (background without known foregrounds, groups without groups) is left out. Data without a test set
    are evaluated by cross-validation over the labelled samples: see `crossed_evaluation`. The data's validation part is
    evaluated like a test set, under the name "validation". A set whose classes (`Schema.classes`) are not those of the
    labelled training samples is evaluated by retrieval alone: see `evaluate_unseen`.

    Args:
        encoder: any module or function that turns a batch of the data's inputs into [batch, features]; or embeddings
            of the data, which are evaluated as far as they go.
        dataset: labelled.
        name: how tables and pictures call the encoder.
        classifier: from embeddings to logits of the data's classes, as it was trained with the encoder
            (`encoders.load_classifier`). One of another number of classes is left out with a note, and so is any in a
            cross-validation, whose samples it has seen with their labels.
        judging: neighbours, seed, folds, batch size, device and precision; by default those of `Judging`.
        progress: where bars are shown.

    Raises:
        ValueError: no labels in training or in a test set, fewer than two training classes, more neighbours than
            training samples, fewer samples than folds, a classifier of another number of features, or an embedding that
            is not finite.
    """
    judging = (judging or Judging()).resolved()
    if isinstance(encoder, GivenEmbeddings):
        dataset = encoder.part_of(dataset)
    labelled, sources = sources_of(dataset, seed=judging.seed)
    if isinstance(encoder, GivenEmbeddings):
        sources = {key: source for key, source in sources.items() if key in encoder.sets}
    schema = labelled.schema
    tested = [*dataset.tests, *([VALIDATION] if VALIDATION in sources else [])]
    strange = [each for each in tested if unseen(sources[each], schema)]
    seen = [each for each in tested if each not in strange]
    # Which backgrounds fool a predictor can be asked of one alone that knows the classes.
    adversarial = {} if set(strange) & dataset.tests.keys() else dataset.adversarial
    passing: dict[str, Any] = {
        "batch_size": judging.batch_size,
        "device": judging.device,
        "precision": judging.precision,
    }

    def embedded(key: str, source: Source) -> Embeddings:
        if isinstance(encoder, GivenEmbeddings):
            return encoder.of(key, source)
        return embed(encoder, source, progress=progress, **passing)

    stages = 1 + 3 * bool(seen) + bool(strange) if dataset.tests else 5
    clock = Clock(name, progress, stages=stages + bool(adversarial))
    timed = clock if dataset.tests else Clock(name, None, stages=0)
    with clock.stage("embed"):
        embeddings = {key: embedded(key, source) for key, source in sources.items()}
    known = {each: embeddings[each].labelled()[0] for each in tested}
    asked = classifier if "train" in sources else None
    unfit = "" if asked is None else unfit_classifier(asked, classes=len(schema.classes))
    own = None if unfit else asked
    sets, probes = SetFigures(tests={}), dict[str, LinearProbe]()
    if seen:
        train, _ = embeddings["train"].labelled()
        with timed.stage("probe"):
            probes["full"] = fit_probe(train, seed=judging.seed)
            for fitted in ("foreground", "exchanged"):
                if f"train-{fitted}" in embeddings:
                    probes[fitted] = fit_probe(embeddings[f"train-{fitted}"].labelled()[0], seed=judging.seed)
        sets = figures_of_sets(
            train,
            {each: known[each] for each in seen},
            probes={predictor: probes[fitted] for fitted, predictor in PROBES.items() if fitted in probes},
            classifier=own,
            classes=schema.classes,
            group_names=schema.groups,
            neighbours=judging.neighbours,
            clock=timed,
        )
    if strange:
        sets = sets.beside(evaluate_unseen({each: known[each] for each in strange}, clock=timed))
    if not dataset.tests:
        evaluation = crossed_evaluation(
            embeddings["train"],
            name=name,
            groups=schema.groups,
            classes=schema.classes,
            clock=clock,
            judging=judging,
        )
        unfit = unfit or (SAW_ALL if classifier is not None else "")
    else:
        background = background_gaps(known, sets.predictions) | sets.background
        if adversarial:
            predictors: dict[str, Callable[[Embeddings], Tensor]] = {"adversarial_share": probes["full"].predict}
            if own is not None:
                predictors["adversarial_share_classifier"] = lambda each: classifier_predictions(own, each).classes
            with clock.stage("adversarial"):
                background |= adversarial_figures(
                    adversarial, embed=partial(embedded, "adversarial"), predictors=predictors
                )
        evaluation = Evaluation(
            name=name,
            tests={},
            background=background,
            cells=_cells(known, probes),
            settings=_settings(judging, embeddings, known, probes) | {"seconds": clock.seconds},
            notes=tuple(note for probe in probes.values() for note in probe.notes),
        )
    shown = sources[primary_of(dataset.tests)] if dataset.tests else sources["train"]
    evaluation = replace(
        evaluation,
        tests=evaluation.tests | sets.tests,
        groups=evaluation.groups | sets.groups,
        classifier_groups=sets.classifier_groups,
        further=evaluation.further | sets.further,
        classes=evaluation.classes | sets.of_classes,
        notes=(*evaluation.notes, *([unfit] if unfit else []), *sets.notes, *_origin(encoder)),
        morph=morph_figures(encoder, shown, **passing),
    )
    return EncoderEvaluation(evaluation, embeddings, sets.predictions if dataset.tests else {})


def _origin(encoder: object) -> tuple[str, ...]:
    return encoder.notes if isinstance(encoder, GivenEmbeddings) else ()


def sources_of(dataset: Dataset, *, seed: int) -> tuple[Source, dict[str, Source]]:
    """Return the labelled training samples, and what is to be embedded: these only where a set is of their classes.

    Args:
        dataset: labelled.
        seed: of the training samples with exchanged backgrounds or nuisances.

    Raises:
        ValueError: no labels in training or in a test set.
    """
    if dataset.labelled is None:
        raise ValueError(f"{dataset.train.name} has no labels, which evaluation needs; `embed` works without them")
    validation = {} if dataset.validation is None else {VALIDATION: dataset.validation}
    if validation.keys() & dataset.tests.keys():
        raise ValueError(f"a test set is called {VALIDATION!r} beside the part for choosing; call it otherwise")
    for test, source in (dataset.tests | validation).items():
        if source.labels is None or not bool((source.labels >= 0).any()):
            what = "validation part" if test in validation else f"test set {test}"
            raise ValueError(f"the {what} has no labels, which evaluation needs; `embed` works without them")
    schema, sources = dataset.labelled.schema, dict[str, Source]()
    if not dataset.tests or not all(unseen(source, schema) for source in (dataset.tests | validation).values()):
        sources["train"] = dataset.labelled
    if dataset.train_foreground is not None and any(not unseen(source, schema) for source in dataset.tests.values()):
        sources["train-foreground"] = dataset.train_foreground
    # What the encoder knows beside backgrounds or nuisances is asked where test sets with other ones can tell.
    if "train" in sources and "mixed-rand" in dataset.tests and len(dataset.labelled) > 1:
        exchanged = with_exchanged_samples(dataset.labelled, generator=torch.Generator().manual_seed(seed))
        if exchanged is not None:
            sources["train-exchanged"], _ = exchanged
    return dataset.labelled, sources | dataset.tests | validation


def _settings(
    judging: Judging,
    embeddings: Mapping[str, Embeddings],
    known: Mapping[str, Embeddings],
    probes: Mapping[str, LinearProbe],
) -> dict[str, Any]:
    """Say what was given and chosen: of `known`, the labelled samples of each set, the validation part is no test."""
    tests = {name: len(each) for name, each in known.items()}
    validation = tests.pop(VALIDATION, None)
    return {
        **({"neighbours": judging.neighbours} if probes else {}),
        "seed": judging.seed,
        "features": next(iter(known.values())).features.shape[1],
        **({"probe_strength": {fitted: each.strength for fitted, each in probes.items()}} if probes else {}),
        **({"train_samples": len(embeddings["train"].labelled()[0])} if "train" in embeddings else {}),
        "test_samples": tests,
        **({} if validation is None else {"validation_samples": validation}),
    }


def _cells(known: Mapping[str, Embeddings], probes: Mapping[str, LinearProbe]) -> dict[str, Figure]:
    if "foreground" not in probes or not {"original", "only-foreground"} <= known.keys():
        return {}
    return train_test_cells(probes, {"full": known["original"], "foreground": known["only-foreground"]})
