"""The report: one file with everything a reader needs to judge how much the encoders lean on background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from unconfound.data import Dataset, Source
from unconfound.evaluation.figures import VALIDATION, Evaluation, primary_of
from unconfound.files import write_text
from unconfound.report import environment_tables, tables
from unconfound.report.entry import Entry
from unconfound.report.group_plots import SHOWN as SHOWN_BARS
from unconfound.report.group_plots import GroupColumn, group_columns, group_plot, ranked_groups
from unconfound.report.judged import (
    CLASSIFIER,
    CROSS_VALIDATION,
    PROBE,
    embeddings_of,
    judged_sources,
    whose_samples,
)
from unconfound.report.maps import Colouring, colourings, maps
from unconfound.report.neighbours import Query, queries
from unconfound.report.pictures import Sample, feature_names, first_of_classes, samples
from unconfound.report.plots import curve_plot, gap_plot
from unconfound.report.sentences import sentences
from unconfound.report.templates import template

SWAPS = {
    "original": "as in training",
    "mixed-same": "another background of its class",
    "mixed-rand": "a random background",
    "only-foreground": "background removed",
    "only-background": "foreground removed",
}
LOOKED_AT = 6  # samples in the pictures
# Not drawn: where the run stood and how it went along are no results.
NO_CURVE = ("epoch", "step", "phase", "learning_rate", "samples_per_second", "seconds")
FIRST = ("loss", "map_at_r", "precision_at_1")
CURVES = 4


def write_report(
    path: Path,
    entries: Sequence[Entry],
    dataset: Dataset,
    *,
    title: str,
    command: str,
    environment: dict[str, str] | None = None,
) -> Path:
    """Write one self-contained HTML page that opens without network.

    The same arguments give the same page. Parts without data are left out.

    Args:
        path: the file, by custom `report.html`. It is there whole or not at all.
        entries: the encoders, in the order in which tables list them.
        dataset: what they were trained and judged on.
        title: the page's heading.
        command: what a reader types to get this page again.
        environment: versions and hardware, in words.

    Returns:
        `path`.

    Raises:
        ValueError: there are no entries, two share a name, or there is neither a test set nor a label.
    """
    names = [entry.name for entry in entries]
    if not entries:
        raise ValueError("a report needs at least one encoder; evaluate one first")
    if len(set(names)) < len(names):
        raise ValueError(f"two encoders share a name ({', '.join(names)}); name each differently")
    judged = judged_sources(dataset)
    primary = primary_of(judged)
    page = template("template.html.jinja").render(
        title=title,
        command=command,
        environment=environment or {},
        dataset=dataset,
        primary=primary,
        place=whose_samples(primary),
        crossed=primary == CROSS_VALIDATION,
        folds=entries[0].evaluation.settings.get("folds"),
        repeats=entries[0].evaluation.settings.get("repeats", 1),
        modality=dataset.train.schema.modality,
        channels=dataset.train.schema.shape[0],
        classes=len(judged[primary].schema.classes),
        several=len(entries) > 1,
        **_figures(entries, dataset, judged, primary),
        **_pictures(entries, dataset, judged, primary),
    )
    write_text(path, page)
    return path


def _figures(entries: Sequence[Entry], dataset: Dataset, judged: Mapping[str, Source], primary: str) -> dict[str, Any]:
    evaluations = [entry.evaluation for entry in entries]
    tests = [name for name in (*judged, VALIDATION) if any(name in each.tests for each in evaluations)]
    classes = len(judged[primary].schema.classes)
    columns = {name: found for name in tests if (found := group_columns(entries, test=name))}
    grouped = [(name, tables.groups(found, test=name)) for name, found in columns.items()]
    return {
        "meaning": sentences(
            evaluations, classes=classes, primary=primary, images=dataset.train.schema.modality == "images"
        ),
        "results": tables.results(entries, tests=tests),
        "gaps": _gaps(evaluations),
        "measures": [tables.measures(entries, test=name) for name in tests],
        "cells": tables.four_cells(entries),
        "groups": sorted(grouped, key=lambda named: named[0] != primary),
        "bars": _bars(columns[primary]) if primary in columns else None,
        "hardest": [(e.name, e.hardest) for e in entries if e.hardest is not None],
        "morphs": [(e.name, e.morphs) for e in entries if e.morphs is not None],
        "morph_table": tables.morphs(entries),
        "facts": tables.facts(entries),
        "settings": tables.settings(evaluations),
        "curves": _curves(entries),
        "strata": [(e.name, e.strata, tables.strata(e.strata)) for e in entries if e.strata is not None],
        "environments": [
            (e.name, e.environments, environment_tables.relations(part), environment_tables.counts(part))
            for e in entries
            if (part := e.environments) is not None
        ],
        "attention": [
            (e.name, e.attention, environment_tables.attention(e.attention)) for e in entries if e.attention is not None
        ],
        "notes": [(each.name, each.notes) for each in evaluations if each.notes],
    }


def _gaps(evaluations: Sequence[Evaluation]) -> list[tuple[str, Markup]]:
    """Draw the gaps of classifiers, linear probes and retrieval, where there are any, with what each drawing shows."""
    drawn = []
    for key, measure, judge in (
        ("background_gap_classifier", "accuracy", f"accuracy of the {CLASSIFIER}"),
        ("background_gap", "accuracy", f"accuracy of the {PROBE}"),
        ("background_gap_map_at_r", "MAP@R", "MAP@R"),
    ):
        gapped = [each for each in evaluations if key in each.background]
        if gapped:
            names, gaps = [each.name for each in gapped], [each.background[key] for each in gapped]
            drawn.append((judge, gap_plot(names, gaps, prefix=key.replace("_", "-"), measure=measure)))
    return drawn


def _bars(columns: Sequence[GroupColumn]) -> dict[str, Any]:
    """Draw accuracies by group, with what the drawing's legend says."""
    return {
        "drawing": group_plot(columns),
        "encoders": list({column.encoder: column.colour for column in columns}.items()),
        "judges": [judge for judge in (CLASSIFIER, PROBE) if any(column.judge == judge for column in columns)],
        "shown": min(SHOWN_BARS, len(ranked_groups(columns))),
        "groups": len(ranked_groups(columns)),
    }


def _curves(entries: Sequence[Entry]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    drawn = []
    for number, entry in enumerate(entries):
        if entry.curves is None or "step" not in entry.curves:
            continue
        finite = entry.curves.replace([np.inf, -np.inf], np.nan)
        numeric = [str(name) for name in finite.select_dtypes("number")]
        # The loss first, then what encoders were chosen by, the rest in the order in which the method logs them.
        columns = sorted(
            (name for name in numeric if name not in NO_CURVE),
            key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST),
        )
        columns = [name for name in columns if finite[name].notna().any()][:CURVES]
        panels = [
            (column.replace("_", " "), curve_plot(finite, column, prefix=f"curve-{number}-{place}"))
            for place, column in enumerate(columns)
        ]
        if panels:
            drawn.append((entry.name, panels))
    return drawn


def _pictures(entries: Sequence[Entry], dataset: Dataset, judged: Mapping[str, Source], primary: str) -> dict[str, Any]:
    source = judged[primary]
    names = feature_names(dataset) if source.schema.modality == "tables" else ()
    chosen = first_of_classes(source.labels, len(source), limit=LOOKED_AT)
    swapped = {name: words for name, words in SWAPS.items() if name in judged and len(judged[name]) == len(source)}
    shown = swapped if len(swapped) > 1 else {primary: ""}
    looked_at: list[tuple[Sample, ...]] = list(
        zip(*(samples(judged[name], chosen, names=names) for name in shown), strict=True)
    )
    # A query on a random background shows what the encoder goes by: the thing, or where it stands.
    asking = "mixed-rand" if len(swapped) > 1 and "mixed-rand" in swapped else primary
    found: list[tuple[str, list[Query]]] = []
    for entry in entries:
        asked, gallery = (embeddings_of(entry.embeddings, test) for test in (asking, primary))
        if asked is not None and gallery is not None:
            found.append((entry.name, queries(asked, judged[asking], gallery, source, chosen, names=names)))
    mapped, coloured = _maps(entries, source, primary)
    return {
        "swaps": shown,
        "samples": looked_at,
        "asking": asking,
        "neighbours": found,
        "maps": mapped,
        "colourings": coloured,
        "drawn": bool(looked_at[0][0].size),
        "value_columns": list(looked_at[0][0].values),
    }


def _maps(
    entries: Sequence[Entry], source: Source, primary: str
) -> tuple[list[tuple[str, list[tuple[str, Markup]], str]], list[Colouring]]:
    drawn, coloured = [], []
    for entry in entries:
        embeddings = embeddings_of(entry.embeddings, primary)
        if embeddings is None or len(embeddings) < 2:
            continue
        coloured = colourings(source, embeddings)
        if coloured:
            drawn.append((entry.name, *maps(entry.name, embeddings, coloured)))
    return drawn, coloured
