"""The figures of a report as tables of text, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unconfound.evaluation.figures import RETRIEVAL, Evaluation, Figure, retrieved_only, set_title
from unconfound.evaluation.measures import BACKGROUND, METRICS, MORPH, Measure, column
from unconfound.evaluation.result_table import Column, Row, Table, TableCell, table_of_texts
from unconfound.report.entry import Entry
from unconfound.report.evaluated_sets import CROSS_VALIDATION, where_evaluated
from unconfound.report.group_plots import GroupColumn, ranked_groups
from unconfound.report.strata_pictures import StrataPart

# What is measured beside the accuracy of a linear probe, that of a classifier, and retrieval.
BESIDE_PROBE = ("background_gap", "background_gap_knn", "adversarial_share")
BESIDE_EXCHANGED = ("background_gap_exchanged_probe",)
BESIDE_CLASSIFIER = ("background_gap_classifier", "adversarial_share_classifier")
BESIDE_RETRIEVAL = (
    *("background_gap_precision_at_1", "background_gap_map_at_r"),
    *("precision_at_1_crossed", "map_at_r_crossed"),
)
CELLS = ("full/full", "full/foreground", "foreground/full", "foreground/foreground")
MASKS = ("mask_foreground", "mask_background", "mask_difference")
SHOWN_GROUPS = 24


def results(entries: Sequence[Entry], *, tests: Sequence[str]) -> list[Table]:
    """Methods against test sets.

    Accuracy of the trained classifier where any has one, of the linear probe, and of the one fitted on exchanged
    backgrounds; of sets whose classes were not trained on, retrieval.
    """
    unseen = retrieved_only([entry.evaluation for entry in entries], tests)
    tables = [_results(entries, unseen, RETRIEVAL, BESIDE_RETRIEVAL, "")] if unseen else []
    tests = [test for test in tests if test not in unseen]
    if unseen and not tests:
        return tables
    owners, probed_exchanged = (
        [entry for entry in entries if _measured([entry], tests, metric)]
        for metric in ("classifier", "exchanged_probe")
    )
    if owners:
        words = "the classifier that was trained with the encoder"
        tables.append(_results(owners, tests, ["classifier"], BESIDE_CLASSIFIER, words))
    by = [metric for metric in ("linear_probe", "svm") if _measured(entries, tests, metric)] or ["linear_probe"]
    words = "a linear probe and of an SVM" if "svm" in by else "a linear probe"
    tables.append(_results(entries, tests, by, BESIDE_PROBE, words))
    if probed_exchanged:
        words = "a linear probe fitted on exchanged backgrounds or nuisances: what the encoder knows apart from these"
        tables.append(_results(probed_exchanged, tests, ["exchanged_probe"], BESIDE_EXCHANGED, words))
    return tables


def _results(
    entries: Sequence[Entry], tests: Sequence[str], by: Sequence[str], beside: Sequence[str], words: str
) -> Table:
    shown = [Measure(test, metric) for test in tests for metric in by if _measured(entries, [test], metric)]
    lost = [metric for metric in beside if any(metric in entry.evaluation.background for entry in entries)]
    caption = f"Accuracy in percent of {words}, with 95 % confidence intervals."
    if not words:
        caption = "Retrieval in percent, of classes that were not trained on, with 95 % confidence intervals."
    if any("gap" in metric for metric in lost):
        caption += " Gap: mixed-same minus mixed-rand, in percentage points; ideally near 0."
    if any("adversarial" in metric for metric in lost):
        caption += " Not fooled: foregrounds that are classified correctly on every background of another class."
    if any("crossed" in metric for metric in lost):
        caption += " Crossed: queries from original, searched for in mixed-rand."
    measures = [*shown, *(Measure(BACKGROUND, metric) for metric in lost)]
    columns = [*map(_result_column, shown), *(column(metric, unit=False) for metric in lost)]
    return _encoders(caption, entries, measures, columns)


def _result_column(measure: Measure) -> Column:
    """Name a column by its test set; one test set that is named by the heading, by its metric."""
    if measure.test == CROSS_VALIDATION:
        return Column(measure.words)
    metric = f", {measure.words}" if measure.metric in ("svm", *RETRIEVAL) else ""
    return Column(f"{set_title(measure.test)}{metric}")


def measures(entries: Sequence[Entry], *, test: str) -> Table:
    """Every measure on one test set."""
    known = [Measure(test, metric) for metric in METRICS if _measured(entries, [test], metric)]
    caption = f"All measures {where_evaluated(test)}, in percent."
    return _encoders(caption, entries, known, [Column(measure.words) for measure in known])


def four_cells(entries: Sequence[Entry]) -> Table | None:
    """The probe trained on full or foreground images, tested on full or foreground images."""
    shown = [entry for entry in entries if entry.evaluation.cells]
    if not shown:
        return None
    rows = (Row(entry.name, tuple(TableCell(entry.evaluation.cells.get(key)) for key in CELLS)) for entry in shown)
    caption = "Accuracy of the linear probe in percent. Columns: what it was trained on, what it was tested on."
    return Table(caption, "encoder", tuple(Column(key.replace("/", ", ")) for key in CELLS), tuple(rows))


def morphs(entries: Sequence[Entry]) -> Table | None:
    """What masks let through of the foreground and of the background."""
    shown = [entry for entry in entries if entry.evaluation.morph]
    if not shown:
        return None
    images = shown[0].evaluation.morph["mask_foreground"].samples
    caption = f"Mean of the mask over each image's foreground and background, in percent: mean over {images:,} images."
    caption += " The difference is paired by image; above 0, the foreground keeps more of its brightness."
    columns = [column(metric, unit=False) for metric in MASKS]
    return _encoders(caption, shown, [Measure(MORPH, metric) for metric in MASKS], columns)


def _encoders(caption: str, entries: Sequence[Entry], measures: Sequence[Measure], columns: Sequence[Column]) -> Table:
    """Make a table with one row per encoder and one column per measure, the highest figure of each marked."""
    figures = [[measure.of(entry.evaluation) for measure in measures] for entry in entries]
    # Without a foreground there is nothing to be right about, and a high gap or mask is no virtue.
    best = [
        None if measure.test in (BACKGROUND, MORPH, "only-background") else _best(each)
        for measure, each in zip(measures, zip(*figures, strict=True), strict=True)
    ]
    rows = (
        Row(
            entry.name, tuple(TableCell(f, mark="best" if row == top else "") for f, top in zip(own, best, strict=True))
        )
        for row, (entry, own) in enumerate(zip(entries, figures, strict=True))
    )
    return Table(caption, "encoder", tuple(columns), tuple(rows))


def strata(part: StrataPart) -> Table | None:
    """How much of what each stratum depends on is foreground, with shuffled strata and the foreground's area."""
    if not part.foreground:
        return None
    rows = [Row(f"stratum {number}", (TableCell(figure),)) for number, figure in enumerate(part.foreground, start=1)]
    rows.append(Row("shuffled strata", (TableCell(part.control),)))
    rows.append(Row("the foreground's area", (TableCell(f"{100 * part.area:.1f}"),)))
    caption = (
        f"Share of what the strata depend on that lies on the foreground, in percent: mean over {part.samples} images."
    )
    caption += " For shuffled strata, which mean nothing: their mean, and the range of 95 % of them."
    return Table(caption, "", (Column("on the foreground"),), tuple(rows))


def groups(columns: Sequence[GroupColumn], *, test: str) -> Table:
    """Accuracy of each group, the lowest first, with the worst group of each encoder and classifier or probe marked."""
    ranked = ranked_groups(columns)
    several = len({each.predictor for each in columns}) > 1

    def cell(each: GroupColumn, name: str) -> TableCell:
        worst = each.worst == name and len(each.figures) > 1
        return TableCell(each.figures.get(name), mark="worst" if worst else "")

    rows = (Row(name, tuple(cell(each, name) for each in columns)) for name in ranked[:SHOWN_GROUPS])
    whose = "" if several else f" of the {columns[0].predictor}"
    caption = f"Accuracy{whose} in each group {where_evaluated(test)}, in percent, lowest first."
    if len(ranked) > SHOWN_GROUPS:
        caption += f" {SHOWN_GROUPS} of {len(ranked)} groups."
    titles = (f"{each.encoder}, {each.predictor}" if several else each.encoder for each in columns)
    return Table(caption, "group", tuple(map(Column, titles)), tuple(rows))


def facts(entries: Sequence[Entry]) -> Table | None:
    """How each encoder was trained, one column per encoder."""
    runs = {entry.name: {"run folder": str(entry.run)} if entry.run else {} for entry in entries}
    known = {entry.name: {**entry.facts, **runs[entry.name]} for entry in entries}
    return table_of_texts("How each encoder was trained.", known)


def settings(evaluations: Sequence[Evaluation]) -> Table | None:
    """What was selected or given for the evaluation."""
    known = {
        each.name: {name.replace("_", " "): _plain(value) for name, value in each.settings.items()}
        for each in evaluations
    }
    return table_of_texts("How the encoders were evaluated.", known)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(entries: Sequence[Entry], tests: Sequence[str], metric: str) -> bool:
    return any(metric in entry.evaluation.tests.get(test, {}) for entry in entries for test in tests)


def _best(figures: Sequence[Figure | None]) -> int | None:
    known = [(figure.value, row) for row, figure in enumerate(figures) if figure is not None]
    return max(known)[1] if len(known) > 1 else None
