"""Accuracy by group, drawn: what an average hides, by each encoder and predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from unconfound.evaluation.figures import Figure
from unconfound.report.entry import Entry
from unconfound.report.evaluated_sets import CLASSIFIER, PROBE

SHOWN = 12
COLOURS = 10  # as many as the page has
# Of the drawing: its width, that of the bars, heights of a group's name and of a bar, and what parts groups.
WIDTH, REACH, NAME, BAR, GAP = 360, 312, 19, 14, 9


@dataclass(frozen=True)
class GroupColumn:
    """Accuracies of the groups of one test set by one predictor.

    Args:
        encoder: its name.
        colour: its place among the encoders.
        predictor: "trained classifier" or "linear probe".
        figures: by group; at least one.
    """

    encoder: str
    colour: int
    predictor: str
    figures: Mapping[str, Figure]

    @property
    def worst(self) -> str:
        """The group of the lowest accuracy."""
        return min(self.figures, key=lambda group: self.figures[group].value)


def group_columns(entries: Sequence[Entry], *, test: str) -> list[GroupColumn]:
    """Return what predictors say of the groups of a test set, the classifier of an encoder before its linear probe."""
    return [
        GroupColumn(entry.name, place % COLOURS, predictor, figures)
        for place, entry in enumerate(entries)
        for predictor, figures in (
            (CLASSIFIER, entry.evaluation.classifier_groups.get(test)),
            (PROBE, entry.evaluation.groups.get(test)),
        )
        if figures
    ]


def ranked_groups(columns: Sequence[GroupColumn]) -> list[str]:
    """Return the names of the groups, that of the lowest accuracy by any predictor first."""
    names = dict.fromkeys(name for column in columns for name in column.figures)
    return sorted(names, key=lambda name: min(c.figures[name].value for c in columns if name in c.figures))


def group_plot(columns: Sequence[GroupColumn]) -> Markup:
    """Draw one bar per group, encoder and predictor with its 95 % interval: filled for a classifier, else outlined.

    Args:
        columns: at least one. Of many groups the dozen of the lowest accuracies is drawn.
    """
    drawn, top = [], 0.0
    for group in ranked_groups(columns)[:SHOWN]:
        drawn.append(Markup('<text class="group" x="0" y="{:.0f}">{}</text>').format(top + NAME - 6, group))
        top += NAME
        for column in columns:
            if (figure := column.figures.get(group)) is not None:
                drawn.append(_bar(column, figure, top))
                top += BAR
        top += GAP
    grid = [
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"></line><text class="tick" {2}>{3}</text>').format(
            REACH * tick / 100,
            round(top),
            Markup('x="{:.0f}" y="{:.0f}" text-anchor="{}"').format(
                REACH * tick / 100, top + 14, "start" if tick == 0 else "middle"
            ),
            tick,
        )
        for tick in (0, 25, 50, 75, 100)
    ]
    listed = "; ".join(
        f"{column.encoder}, {column.predictor}: worst {column.worst} {column.figures[column.worst]}"
        for column in columns
    )
    return Markup('<svg class="plot bars" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, round(top + 20), f"Bar chart of accuracy by group in percent. {listed}", Markup("").join(grid + drawn)
    )


def _bar(column: GroupColumn, figure: Figure, top: float) -> Markup:
    low, value, high = (REACH * share for share in (figure.low, figure.value, figure.high))
    middle, colour = top + BAR / 2 - 1, f"var(--colour-{column.colour})"
    fill = colour if column.predictor == CLASSIFIER else "var(--page)"
    return Markup(
        '<rect x="0" y="{:.1f}" width="{:.1f}" height="{}" style="fill:{};stroke:{}"></rect>'
        '<path class="reach" d="M{:.1f} {:.1f}v6M{:.1f} {:.1f}v6M{:.1f} {:.1f}H{:.1f}"></path>'
        '<text class="value" x="{}" y="{:.1f}">{:.1f}</text>'
    ).format(
        # Where nothing is right, the colour still shows whose bar it is.
        *(middle - 5, max(value, 2), BAR - 4, fill, colour),
        *(low, middle - 3, high, middle - 3, low, middle, high),
        *(WIDTH, middle + 4, 100 * figure.value),
    )


def group_bars(columns: Sequence[GroupColumn]) -> dict[str, Any]:
    """Draw accuracies by group, with what the drawing's legend says."""
    groups = len(ranked_groups(columns))
    return {
        "drawing": group_plot(columns),
        "encoders": list({column.encoder: column.colour for column in columns}.items()),
        "predictors": [
            predictor for predictor in (CLASSIFIER, PROBE) if any(column.predictor == predictor for column in columns)
        ],
        "shown": min(SHOWN, groups),
        "groups": groups,
    }
