"""The figures of a report as tables of text, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unconfound.evaluation.figures import RETRIEVAL, Evaluation, Figure, retrieved_only, set_title
from unconfound.evaluation.measures import TITLES
from unconfound.report.entry import Entry
from unconfound.report.grid import UNKNOWN, Row, Table, TableCell, figure_cell
from unconfound.report.group_plots import GroupColumn, ranked_groups
from unconfound.report.judged import CROSS_VALIDATION, judgement
from unconfound.report.strata_pictures import StrataPart

MEASURES = {
    key: TITLES[key]
    for key in (
        "classifier",
        "linear_probe",
        "adam_probe",
        "svm",
        "knn",
        "precision_at_1",
        "r_precision",
        "map_at_r",
        "worst_group_classifier",
        "worst_group",
        "average_group_classifier",
        "average_group",
        "reweighted_average_classifier",
        "reweighted_average",
    )
}
BACKGROUND = {
    "background_gap": "gap (points)",
    "background_gap_knn": "gap, kNN (points)",
    "adversarial_share": "not fooled by any background",
}
BACKGROUND_CLASSIFIER = {
    "background_gap_classifier": "gap (points)",
    "adversarial_share_classifier": "not fooled by any background",
}
BACKGROUND_RETRIEVAL = {
    "background_gap_precision_at_1": "gap, precision at 1 (points)",
    "background_gap_map_at_r": "gap, MAP@R (points)",
    "precision_at_1_crossed": "crossed, precision at 1",
    "map_at_r_crossed": "crossed, MAP@R",
}
CELLS = {
    "full/full": "full, full",
    "full/foreground": "full, foreground",
    "foreground/full": "foreground, full",
    "foreground/foreground": "foreground, foreground",
}
SHOWN_GROUPS = 24


def results(entries: Sequence[Entry], *, tests: Sequence[str]) -> list[Table]:
    """Methods against test sets.

    Accuracy of the trained classifier where any has one, then of the linear probe; of sets whose classes were not
    trained on, retrieval.
    """
    unseen = retrieved_only([entry.evaluation for entry in entries], tests)
    tables = [_results(entries, unseen, RETRIEVAL, BACKGROUND_RETRIEVAL, "")] if unseen else []
    tests = [test for test in tests if test not in unseen]
    if unseen and not tests:
        return tables
    judges = [metric for metric in ("linear_probe", "svm") if _measured(entries, tests, metric)] or ["linear_probe"]
    judging = "a linear probe and of an SVM" if "svm" in judges else "a linear probe"
    tables.append(_results(entries, tests, judges, BACKGROUND, judging))
    owners = [entry for entry in entries if _measured([entry], tests, "classifier")]
    if owners:
        judging = "the classifier that was trained with the encoder"
        tables.insert(-1, _results(owners, tests, ["classifier"], BACKGROUND_CLASSIFIER, judging))
    return tables


def _results(
    entries: Sequence[Entry], tests: Sequence[str], judges: Sequence[str], beside: Mapping[str, str], judging: str
) -> Table:
    columns = [(test, metric) for test in tests for metric in judges if _measured(entries, [test], metric)]
    figures = [[entry.evaluation.tests.get(test, {}).get(metric) for test, metric in columns] for entry in entries]
    best = [_best(column) for column in zip(*figures, strict=True)]
    lost = [key for key in beside if any(key in entry.evaluation.background for entry in entries)]
    rows = []
    for row, entry in enumerate(entries):
        # Without a foreground there is nothing to be right about: the highest figure there is no virtue.
        marks = ["best" if best[i] == row and test != "only-background" else "" for i, (test, _) in enumerate(columns)]
        cells = [figure_cell(figure, mark=mark) for figure, mark in zip(figures[row], marks, strict=True)]
        cells += [figure_cell(entry.evaluation.background.get(key)) for key in lost]
        rows.append(Row(entry.name, tuple(cells)))
    caption = f"Accuracy in percent of {judging}, with 95 % confidence intervals."
    if not judging:
        caption = "Retrieval in percent, of classes that were not trained on, with 95 % confidence intervals."
    if any("gap" in key for key in lost):
        caption += " Gap: mixed-same minus mixed-rand, in percentage points; near 0 is what you want."
    if any("adversarial" in key for key in lost):
        caption += " Not fooled: foregrounds that are right on every background of another class."
    if any("crossed" in key for key in lost):
        caption += " Crossed: queries from original, whose answers are sought in mixed-rand."
    # One test set is named by the heading.
    named = [
        MEASURES[metric]
        if test == CROSS_VALIDATION
        else set_title(test)
        if metric not in ("svm", *RETRIEVAL)
        else f"{set_title(test)}, {MEASURES[metric]}"
        for test, metric in columns
    ]
    return Table(caption, "Encoder", (*named, *(beside[key] for key in lost)), tuple(rows))


def measures(entries: Sequence[Entry], *, test: str) -> Table:
    """Every measure on one test set."""
    evaluations = [entry.evaluation.tests.get(test, {}) for entry in entries]
    keys = [key for key in MEASURES if any(key in each for each in evaluations)]
    best = [_best([each.get(key) for each in evaluations]) for key in keys]
    rows = (
        Row(
            entry.name,
            tuple(
                figure_cell(each.get(key), mark="best" if best[i] == row and test != "only-background" else "")
                for i, key in enumerate(keys)
            ),
        )
        for row, (entry, each) in enumerate(zip(entries, evaluations, strict=True))
    )
    return Table(
        f"All measures {judgement(test)}, in percent.",
        "Encoder",
        tuple(MEASURES[key] for key in keys),
        tuple(rows),
    )


def four_cells(entries: Sequence[Entry]) -> Table | None:
    """The probe trained on full or foreground images, tested on full or foreground images."""
    shown = [entry for entry in entries if entry.evaluation.cells]
    if not shown:
        return None
    rows = (Row(entry.name, tuple(figure_cell(entry.evaluation.cells.get(key)) for key in CELLS)) for entry in shown)
    caption = "Accuracy of the linear probe in percent. Columns: what it was trained on, what it was tested on."
    return Table(caption, "Encoder", tuple(CELLS.values()), tuple(rows))


def strata(part: StrataPart) -> Table | None:
    """How much of what each stratum goes by is foreground, beside shuffled strata and the foreground's area."""
    if not part.foreground:
        return None
    rows = [Row(f"stratum {number}", (figure_cell(figure),)) for number, figure in enumerate(part.foreground, start=1)]
    rows.append(Row("shuffled strata", (figure_cell(part.control),)))
    rows.append(Row("the foreground's area", (TableCell(f"{100 * part.area:.1f}"),)))
    caption = f"Share of what strata go by that lies on the foreground, in percent: mean over {part.samples} images."
    caption += " For shuffled strata, which mean nothing: their mean, and between which 95 % of them lie."
    return Table(caption, "", ("on the foreground",), tuple(rows))


def morphs(entries: Sequence[Entry]) -> Table | None:
    """What masks let through of the foreground and of the background."""
    shown = [entry for entry in entries if entry.evaluation.morph]
    if not shown:
        return None
    columns = {
        "mask_foreground": "foreground",
        "mask_background": "background",
        "mask_difference": "difference (points)",
    }
    images = shown[0].evaluation.morph["mask_foreground"].samples
    rows = (Row(entry.name, tuple(figure_cell(entry.evaluation.morph.get(key)) for key in columns)) for entry in shown)
    caption = f"Mean of the mask over each image's foreground and background, in percent: mean over {images:,} images."
    caption += " The difference is paired by image; above 0, the foreground keeps more of its brightness."
    return Table(caption, "Encoder", tuple(columns.values()), tuple(rows))


def groups(columns: Sequence[GroupColumn], *, test: str) -> Table:
    """Accuracy of each group, the lowest first, with the worst group of each encoder and judge marked."""
    ranked = ranked_groups(columns)
    several = len({column.judge for column in columns}) > 1
    rows = (
        Row(
            name,
            tuple(
                figure_cell(
                    column.figures.get(name),
                    mark="worst" if column.worst == name and len(column.figures) > 1 else "",
                )
                for column in columns
            ),
        )
        for name in ranked[:SHOWN_GROUPS]
    )
    caption = (
        f"Accuracy{'' if several else f' of the {columns[0].judge}'} in each group {judgement(test)}, in percent, "
    )
    caption += "lowest first."
    if len(ranked) > SHOWN_GROUPS:
        caption += f" {SHOWN_GROUPS} of {len(ranked)} groups."
    titles = (f"{column.encoder}, {column.judge}" if several else column.encoder for column in columns)
    return Table(caption, "Group", tuple(titles), tuple(rows))


def facts(entries: Sequence[Entry]) -> Table | None:
    """What was run, a column an encoder."""
    columns: list[Mapping[str, str]] = [
        {**entry.facts, **({"run folder": str(entry.run)} if entry.run else {})} for entry in entries
    ]
    names = list(dict.fromkeys(name for column in columns for name in column))
    if not names:
        return None
    rows = (Row(name, tuple(TableCell(column.get(name, UNKNOWN)) for column in columns)) for name in names)
    return Table("How each encoder was made.", "", tuple(entry.name for entry in entries), tuple(rows))


def settings(evaluations: Sequence[Evaluation]) -> Table | None:
    """What was chosen or given while judging."""
    names = list(dict.fromkeys(name for each in evaluations for name in each.settings))
    if not names:
        return None
    rows = (
        Row(
            name.replace("_", " "),
            tuple(TableCell(_plain(each.settings.get(name, UNKNOWN))) for each in evaluations),
        )
        for name in names
    )
    caption = "How the encoders were judged."
    return Table(caption, "", tuple(each.name for each in evaluations), tuple(rows))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(entries: Sequence[Entry], tests: Sequence[str], metric: str) -> bool:
    return any(metric in entry.evaluation.tests.get(test, {}) for entry in entries for test in tests)


def _any(entries: Sequence[Entry], key: str) -> bool:
    return any(key in entry.evaluation.background for entry in entries)


def _best(figures: Sequence[Figure | None]) -> int | None:
    known = [(figure.value, row) for row, figure in enumerate(figures) if figure is not None]
    return max(known)[1] if len(known) > 1 else None
