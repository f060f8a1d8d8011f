"""Training curves: which columns of a run's metrics are drawn, and how they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from unconfound.report.entry import Entry
from unconfound.report.plots import curve_plot

# Not drawn: where the run stood and how it went along are no results.
NO_CURVE = ("epoch", "step", "phase", "learning_rate", "samples_per_second", "seconds")
FIRST = ("loss", "map_at_r", "precision_at_1", "knn", "knn_mixed_rand", "knn_gap")
CURVES = 4


def curves(entries: Sequence[Entry]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Draw at most four curves of each encoder that was trained: pairs of a caption and a drawing."""
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
