"""The report: one file with everything a reader needs to judge how much the encoders lean on background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unconfound.data import Dataset
from unconfound.files import write_text
from unconfound.report import tables
from unconfound.report.entry import Entry
from unconfound.report.maps import Colouring, colourings, maps
from unconfound.report.neighbours import Query, queries
from unconfound.report.pictures import Sample, feature_names, first_of_classes, samples
from unconfound.report.plots import curve_plot, gap_plot
from unconfound.report.sentences import sentences

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
        ValueError: there are no entries, two share a name, or there is no test set.
    """
    names = [entry.name for entry in entries]
    if not entries:
        raise ValueError("a report needs at least one encoder; evaluate one first")
    if len(set(names)) < len(names):
        raise ValueError(f"two encoders share a name ({', '.join(names)}); name each differently")
    if not dataset.tests:
        raise ValueError(f"{dataset.train.name} has no test set, so there is nothing to report; give one")
    primary = "original" if "original" in dataset.tests else next(iter(dataset.tests))
    # Autoescape: names of files, classes and encoders come from anywhere.
    room = Environment(
        loader=PackageLoader("unconfound.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = room.get_template("template.html.jinja").render(
        title=title,
        command=command,
        environment=environment or {},
        dataset=dataset,
        primary=primary,
        several=len(entries) > 1,
        **_figures(entries, dataset, primary),
        **_pictures(entries, dataset, primary),
    )
    write_text(path, page)
    return path


def _figures(entries: Sequence[Entry], dataset: Dataset, primary: str) -> dict[str, Any]:
    evaluations = [entry.evaluation for entry in entries]
    tests = [name for name in dataset.tests if any(name in each.tests for each in evaluations)]
    gapped = [each for each in evaluations if "background_gap" in each.background]
    classes = len(dataset.train.schema.classes)
    grouped = [(name, table) for name in tests if (table := tables.groups(entries, test=name))]
    return {
        "meaning": sentences(
            evaluations, classes=classes, primary=primary, images=dataset.train.schema.modality == "images"
        ),
        "results": tables.results(entries, tests=tests),
        "gap": gap_plot([e.name for e in gapped], [e.background["background_gap"] for e in gapped]) if gapped else None,
        "measures": [tables.measures(entries, test=name) for name in tests],
        "cells": tables.four_cells(entries),
        "groups": sorted(grouped, key=lambda named: named[0] != primary),
        "facts": tables.facts(entries),
        "settings": tables.settings(evaluations),
        "curves": _curves(entries),
        "notes": [(each.name, each.notes) for each in evaluations if each.notes],
    }


def _curves(entries: Sequence[Entry]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    drawn = []
    for number, entry in enumerate(entries):
        if entry.curves is None or "step" not in entry.curves:
            continue
        finite = entry.curves.replace([np.inf, -np.inf], np.nan)
        numeric = [str(name) for name in finite.select_dtypes("number")]
        # The loss first, the rest in the order in which the method logs them.
        columns = sorted((name for name in numeric if name not in NO_CURVE), key=lambda name: name != "loss")
        columns = [name for name in columns if finite[name].notna().any()][:CURVES]
        panels = [
            (column.replace("_", " "), curve_plot(finite, column, prefix=f"curve-{number}-{place}"))
            for place, column in enumerate(columns)
        ]
        if panels:
            drawn.append((entry.name, panels))
    return drawn


def _pictures(entries: Sequence[Entry], dataset: Dataset, primary: str) -> dict[str, Any]:
    source = dataset.tests[primary]
    names = feature_names(dataset) if source.schema.modality == "tables" else ()
    chosen = first_of_classes(source.labels, len(source), limit=LOOKED_AT)
    swapped = {
        name: words
        for name, words in SWAPS.items()
        if name in dataset.tests and len(dataset.tests[name]) == len(source)
    }
    shown = swapped if len(swapped) > 1 else {primary: ""}
    looked_at: list[tuple[Sample, ...]] = list(
        zip(*(samples(dataset.tests[name], chosen, names=names) for name in shown), strict=True)
    )
    # A query on a random background shows what the encoder goes by: the thing, or where it stands.
    asking = "mixed-rand" if len(swapped) > 1 and "mixed-rand" in swapped else primary
    found: list[tuple[str, list[Query]]] = [
        (
            entry.name,
            queries(
                entry.embeddings[asking],
                dataset.tests[asking],
                entry.embeddings[primary],
                source,
                chosen,
                names=names,
            ),
        )
        for entry in entries
        if asking in entry.embeddings and primary in entry.embeddings
    ]
    mapped, coloured = _maps(entries, dataset, primary)
    return {
        "swaps": shown,
        "samples": looked_at,
        "asking": asking,
        "neighbours": found,
        "maps": mapped,
        "colourings": coloured,
        "value_columns": list(looked_at[0][0].values),
    }


def _maps(
    entries: Sequence[Entry], dataset: Dataset, primary: str
) -> tuple[list[tuple[str, list[tuple[str, Markup]], str]], list[Colouring]]:
    drawn, coloured = [], []
    for entry in entries:
        if primary not in entry.embeddings or len(entry.embeddings[primary]) < 2:
            continue
        embeddings = entry.embeddings[primary]
        coloured = colourings(dataset.tests[primary], embeddings)
        if coloured:
            drawn.append((entry.name, *maps(entry.name, embeddings, coloured)))
    return drawn, coloured
