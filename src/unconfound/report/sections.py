"""The sections of the report: adding one takes a record here, a template, and the file that finds out what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unconfound.data import Dataset, Source
from unconfound.evaluation.evaluate import EncoderEvaluation
from unconfound.evaluation.figures import VALIDATION, Evaluation, primary_of
from unconfound.report import environment_tables, tables
from unconfound.report.advice import largest_gap_first
from unconfound.report.attention_maps import attention_part
from unconfound.report.curves import curves
from unconfound.report.entry import Entry
from unconfound.report.environment_sheets import environments_part
from unconfound.report.evaluated_sets import CLASSIFIER, PROBE, embeddings_of, evaluated_sources
from unconfound.report.group_plots import group_bars, group_columns
from unconfound.report.hardest import hardest_part
from unconfound.report.maps import coloured_maps
from unconfound.report.mask_sheet import estimated_masks
from unconfound.report.morph_pictures import morph_part
from unconfound.report.neighbour_pictures import queries
from unconfound.report.pictures import Sample, column_names, first_of_classes, samples
from unconfound.report.plots import gap_plot
from unconfound.report.strata_pictures import strata_part

SWAPS = {
    "original": "as in training",
    "mixed-same": "another background of its class",
    "mixed-rand": "a random background",
    "only-foreground": "background removed",
    "only-background": "foreground removed",
}
LOOKED_AT = 6  # samples in the pictures
ADVISED = 1  # encoders of which all commands are shown where more than one other has some, too


@dataclass(frozen=True)
class Measured:
    """An encoder that was evaluated, for the sections that run it again.

    Args:
        encoder: the encoder.
        evaluated: its figures and predictions.
        dataset: what it was evaluated on.
        test: the test set that pictures are taken from.
        source: the samples of that test set.
        run: its run folder, if it has one.
        number: its place among the encoders.
        running: device and batch_size.
    """

    encoder: Any
    evaluated: EncoderEvaluation
    dataset: Dataset
    test: str
    source: Source
    run: Path | None
    number: int
    running: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """What all sections are made from.

    Args:
        entries: the encoders.
        dataset: what they were trained and evaluated on.
        command: what a reader types to get this page again.
        environment: versions and hardware, in words.
    """

    entries: Sequence[Entry]
    dataset: Dataset
    command: str
    environment: Mapping[str, str]

    @property
    def evaluations(self) -> list[Evaluation]:
        """The figures of the encoders."""
        return [entry.evaluation for entry in self.entries]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The test sets, or all samples in a cross-validation."""
        return evaluated_sources(self.dataset)

    @property
    def primary(self) -> str:
        """The test set that pictures are taken from."""
        return primary_of(self.sources)

    @property
    def tests(self) -> list[str]:
        """The test sets that have figures; the validation part is last."""
        return [test for test in (*self.sources, VALIDATION) if any(test in each.tests for each in self.evaluations)]

    @cached_property
    def swaps(self) -> dict[str, str]:
        """The test sets with the same foregrounds on other backgrounds, in words; else the primary one alone."""
        count = len(self.sources[self.primary])
        swaps = {test: words for test, words in SWAPS.items() if len(self.sources.get(test, ())) == count}
        return swaps if len(swaps) > 1 else {self.primary: ""}

    @property
    def nuisance(self) -> str:
        """What the test sets exchange, in words; empty where that is the background."""
        nuisance = self.dataset.train.nuisance
        return "" if nuisance is None else nuisance.words

    @property
    def asking(self) -> str:
        """The test set of the queries: on a random background they show whether an encoder goes by the foreground."""
        return "mixed-rand" if "mixed-rand" in self.swaps else self.primary

    @cached_property
    def chosen(self) -> Any:
        """Places of the samples in the pictures."""
        source = self.sources[self.primary]
        return first_of_classes(source.labels, len(source), limit=LOOKED_AT)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features of a row."""
        return column_names(self.dataset.train.schema, self.dataset.restore)

    @cached_property
    def samples(self) -> list[tuple[Sample, ...]]:
        """The samples in the pictures, each under all swaps."""
        each = (samples(self.sources[name], self.chosen, names=self.names) for name in self.swaps)
        return list(zip(*each, strict=True))

    def parts(self, section: str) -> list[tuple[str, Any]]:
        """Return what a section shows of each encoder alone, with the encoders' names."""
        return [(each.name, each.parts[section]) for each in self.entries if each.parts.get(section) is not None]


def _results(page: Page) -> dict[str, Any]:
    return {
        "results": tables.results(page.entries, tests=page.tests),
        "measures": [tables.measures(page.entries, test=name) for name in page.tests],
    }


def _gaps(page: Page) -> dict[str, Any]:
    drawn = []
    for metric, measure, words in (
        ("background_gap_classifier", "accuracy", f"accuracy of the {CLASSIFIER}"),
        ("background_gap", "accuracy", f"accuracy of the {PROBE}"),
        ("background_gap_map_at_r", "MAP@R", "MAP@R"),
    ):
        found = {each.name: each.background[metric] for each in page.evaluations if metric in each.background}
        if found:
            drawn.append((metric.replace("_", "-"), measure, words, found))
    figures = [figure for *_, found in drawn for figure in found.values()]
    # One scale for all, so that they can be compared.
    reach = (min((each.low for each in figures), default=0), max((each.high for each in figures), default=0))
    return {
        "gaps": [
            (words, gap_plot(list(found), list(found.values()), prefix=prefix, measure=measure, reach=reach))
            for prefix, measure, words, found in drawn
        ]
    }


def _masks(page: Page) -> dict[str, Any]:
    shown = estimated_masks(page.dataset)
    return {"masks": shown, "note": page.dataset.mask_note if shown else ""}


def _advice(page: Page) -> dict[str, Any]:
    # Of many encoders those that rely on the background most: the others' commands are the same.
    found = largest_gap_first([each for each in page.evaluations if each.advice])
    shown = found[:ADVISED] if len(found) > ADVISED + 1 else found
    # The command is what follows the colon, where there is one.
    return {
        "advice": [(each.name, [line.partition(": ")[::2] for line in each.advice]) for each in shown],
        "others": [each.name for each in found if each not in shown],
    }


def _neighbours(page: Page) -> dict[str, Any]:
    found = []
    for entry in page.entries:
        asked, gallery = (embeddings_of(entry.embeddings, test) for test in (page.asking, page.primary))
        if asked is not None and gallery is not None:
            sources = page.sources[page.asking], page.sources[page.primary]
            found.append((entry.name, queries(asked, sources[0], gallery, sources[1], page.chosen, names=page.names)))
    return {"neighbours": found}


def _maps(page: Page) -> dict[str, Any]:
    colourings, drawn = coloured_maps(page.entries, page.sources[page.primary], page.primary)
    return {"colourings": colourings, "maps": drawn}


def _environments(page: Page) -> dict[str, Any]:
    return {
        "environments": [
            (name, part, environment_tables.relations(part), environment_tables.counts(part))
            for name, part in page.parts("environments")
        ]
    }


def _groups(page: Page) -> dict[str, Any]:
    columns = {name: found for name in page.tests if (found := group_columns(page.entries, test=name))}
    grouped = [(name, tables.groups(found, test=name)) for name, found in columns.items()]
    grouped.sort(key=lambda named: named[0] != page.primary)
    return {"groups": grouped, "bars": group_bars(columns[page.primary]) if page.primary in columns else None}


def _run(page: Page) -> dict[str, Any]:
    return {
        "command": page.command,
        "environment": page.environment,
        "facts": tables.facts(page.entries),
        "settings": tables.settings(page.evaluations),
        "notes": [(each.name, each.notes) for each in page.evaluations if each.notes],
    }


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Args:
        name: of its identifier and of its template, `templates/sections/NAME.html.jinja`.
        title: in the list of sections.
        data: what its template needs, by name; the section is left out if all of it is empty.
        look: finds out about one encoder what only the encoder itself can show; None if there is nothing to show.
    """

    name: str
    title: str
    data: Callable[[Page], Mapping[str, Any]]
    look: Callable[[Measured], Any] | None = None


SECTIONS = (
    Section("gap", "Gap", _gaps),
    Section("advice", "What you can do", _advice),
    Section("results", "Results", _results),
    Section("samples", "Samples", lambda page: {"samples": page.samples}),
    Section("masks", "Estimated masks", _masks),
    Section("neighbours", "Neighbours", _neighbours),
    Section("maps", "Maps", _maps),
    Section("cells", "Four cells", lambda page: {"cells": tables.four_cells(page.entries)}),
    Section(
        "strata",
        "Strata",
        lambda page: {"strata": [(name, part, tables.strata(part)) for name, part in page.parts("strata")]},
        look=lambda seen: strata_part(seen.run, seen.source, prefix=f"strata-{seen.number}", **seen.running),
    ),
    Section(
        "environments",
        "Environments",
        _environments,
        look=lambda seen: environments_part(seen.run, seen.dataset, **seen.running),
    ),
    Section(
        "attention",
        "Attention",
        lambda page: {
            "attention": [(name, part, environment_tables.attention(part)) for name, part in page.parts("attention")]
        },
        look=lambda seen: attention_part(seen.encoder, seen.source, **seen.running),
    ),
    Section(
        "morphs",
        "Masks",
        lambda page: {"morphs": page.parts("morphs"), "morph_table": tables.morphs(page.entries)},
        look=lambda seen: morph_part(seen.encoder, seen.source, device=seen.running["device"]),
    ),
    Section("groups", "Groups", _groups),
    Section(
        "hardest",
        "Mistakes",
        lambda page: {"hardest": page.parts("hardest")},
        look=lambda seen: hardest_part(seen.evaluated, seen.dataset, test=seen.test),
    ),
    Section("curves", "Training", lambda page: {"curves": curves(page.entries)}),
    Section("run", "What was run", _run),
)
