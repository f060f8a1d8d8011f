"""Evaluate encoders on one data set and write evaluation.json and report.html."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from unconfound.data import Dataset, Schema
from unconfound.encoders import load_classifier, read_card
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.figures import VALIDATION, Evaluation, primary_of, write_evaluations
from unconfound.evaluation.given_embeddings import GivenEmbeddings
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.unseen import unseen
from unconfound.progress import Bars, console
from unconfound.report.advice import Commands, advice_on, exchangeable
from unconfound.report.entry import Entry
from unconfound.report.evaluated_sets import evaluated_sources
from unconfound.report.facts import machine_facts, run_facts
from unconfound.report.page import write_report
from unconfound.report.sections import SECTIONS, Measured
from unconfound.report.words import listed
from unconfound.training.run_folder import machine

NAMED = 3  # more encoders than this do not fit a title
SEEN = "it was trained with the labels of the samples that it is evaluated on, so its figures are too high"


def audit_encoders(
    encoders: Mapping[str, Callable[[Any], Tensor] | GivenEmbeddings],
    dataset: Dataset,
    *,
    out: Path | str,
    runs: Mapping[str, Path] | None = None,
    judging: Judging | None = None,
    commands: Mapping[str, Commands] | None = None,
) -> list[Evaluation]:
    """Measure encoders side by side, ours or not, and write evaluation.json and report.html.

    Args:
        encoders: by the name that tables and pictures use; each turns a batch of the data's inputs (uint8 images, rows,
            graphs or sequences) into [batch, features]; or it is embeddings of the data.
        dataset: labelled; evaluated by cross-validation if it has no test set. With masks or composed, reliance on
            background is measured; with a nuisance, that on the nuisance.
        out: the folder of evaluation.json and report.html.
        runs: the run folders of those encoders that have one: their training curves and settings are shown, and the
            classifiers that were trained with them are evaluated.
        judging: neighbours, seed, batch size, device and precision; by default those of `Judging`.
        commands: what to type next for encoders without a run folder; by default what a user of Python does.

    Raises:
        ValueError: the data have no labels, embeddings are not finite, the device is not here or the precision unknown.
    """
    judging = (judging or Judging()).resolved()
    masked = exchangeable(dataset)
    given = [each for each in encoders.values() if isinstance(each, GivenEmbeddings)]
    if len(given) == len(encoders):
        # What none of them has is not shown either.
        tests = {name: source for name, source in dataset.tests.items() if any(name in each.sets for each in given)}
        dataset = replace(dataset, tests=tests)
    sources = dataset.tests | ({} if dataset.validation is None else {VALIDATION: dataset.validation})
    if not dataset.tests or not all(unseen(source, dataset.train.schema) for source in sources.values()):
        sources = {"train": dataset.train} | sources
    samples = sum(map(len, sources.values()))
    parts = f"of {listed(list(sources))}" if dataset.tests else "by cross-validation"
    running = {"device": str(judging.device), "batch_size": judging.batch_size}
    entries: list[Entry] = []
    with Bars() as progress:
        for name, encoder in encoders.items():
            part = encoder.part_of(dataset) if isinstance(encoder, GivenEmbeddings) else dataset
            where = ", as embedded elsewhere" if isinstance(encoder, GivenEmbeddings) else f", on {judging.device}"
            console.print(f"measuring {name}: {samples:,} samples {parts}{where}")
            run = (runs or {}).get(name)
            classifier, notes = (None, []) if run is None else _classifier(run, dataset.train.schema)
            notes += [dataset.mask_note] if dataset.mask_note else []
            evaluated = evaluate(encoder, dataset, name=name, classifier=classifier, judging=judging, progress=progress)
            if not dataset.tests and run is not None and read_card(run).provenance.get("labels"):
                notes.append(SEEN)
            report = progress.add_task(f"look at {name}", total=None)
            shown = evaluated_sources(part)
            primary = primary_of(shown)
            measured = Measured(encoder, evaluated, part, primary, shown[primary], run, len(entries), running)
            entries.append(
                Entry(
                    replace(
                        evaluated.evaluation,
                        notes=(*evaluated.evaluation.notes, *notes),
                        advice=advice_on(evaluated.evaluation, dataset, run, commands=(commands or {}).get(name)),
                    ),
                    evaluated.embeddings,
                    curves=_curves(run),
                    run=run,
                    parts={section.name: section.look(measured) for section in SECTIONS if section.look is not None},
                    facts=run_facts(run),
                )
            )
            progress.remove_task(report)
    if dataset.mask_note:
        console.print(dataset.mask_note)
    named = listed(list(encoders)) if len(encoders) <= NAMED else f"{len(encoders)} encoders"
    nuisance = "the background"
    if dataset.train.nuisance is not None:
        nuisance = dataset.train.nuisance.words
        console.print(f"mixed-same and mixed-rand exchange {nuisance}")
    command = shlex.join(["unconfound", *sys.argv[1:]])
    surroundings = machine()
    evaluations = [entry.evaluation for entry in entries]
    if dataset.train.schema.modality == "images" and not any(evaluation.background for evaluation in evaluations):
        needs = f"to know the foregrounds (--masks FOLDER{'' if dataset.mask_note else ', or --masks estimate'})"
        if masked and len(given) == len(encoders):
            needs = "embeddings of the images on other backgrounds"
        console.print(f"reliance on the background was not measured: it needs {needs}")
    console.print(f"writing {Path(out) / 'report.html'}")
    write_evaluations(Path(out) / "evaluation.json", evaluations, command=command, environment=surroundings)
    write_report(
        Path(out) / "report.html",
        entries,
        dataset,
        title=f"How much {named} {'relies' if len(encoders) == 1 else 'rely'} on {nuisance}"
        if any(evaluation.background for evaluation in evaluations)
        else f"What {named} learnt",
        command=command,
        environment=machine_facts(surroundings),
    )
    return evaluations


def _classifier(run: Path, schema: Schema) -> tuple[nn.Linear | None, list[str]]:
    """Load the classifier of a run if it can predict the classes of these data; else say why it cannot."""
    classifier, classes = load_classifier(run), read_card(run).schema.classes
    # Another number of classes is noted by `evaluate`.
    if classifier is None or len(classes) != len(schema.classes) or classes == schema.classes:
        return classifier, []
    return None, [
        f"the trained classifier is not evaluated: its classes are {_some(classes)}, not {_some(schema.classes)}"
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _curves(run: Path | None) -> pd.DataFrame | None:
    """Read a run's metrics; None where nothing was trained."""
    if run is None or not (run / "metrics.csv").is_file() or not (run / "metrics.csv").stat().st_size:
        return None
    return pd.read_csv(run / "metrics.csv")
