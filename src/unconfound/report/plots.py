"""The drawings of a report: inline SVG that takes its colours from the page, so that it is light or dark with it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from unconfound.evaluation.figures import Figure
from unconfound.report.words import shortened

WIDTH = 360  # drawn for a phone, side by side on a wide screen: text keeps its size on both
# matplotlib knows no CSS variables: each stands in as a colour that occurs nowhere else.
COLOURS = {
    "#010203": "--ink",
    "#010204": "--muted",
    "#010205": "--line",
    "#010206": "--accent",
    "#010207": "--page",
}
INK, MUTED, LINE, ACCENT, PAGE = COLOURS
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unconfound",
    "text.parse_math": False,
    "font.size": 13,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "axes.formatter.useoffset": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
LONGEST_NAME = 26
WARM = (255, 169, 40)  # on greyed pixels, which are dark on light and dark pages alike


def gap_plot(
    names: Sequence[str],
    gaps: Sequence[Figure],
    *,
    prefix: str = "gap",
    measure: str = "accuracy",
    reach: tuple[float, float] | None = None,
) -> Markup:
    """Draw a bar an encoder: how many points of accuracy, say, a swapped background costs, with its interval.

    Args:
        names: of the encoders.
        gaps: shares in [-1, 1].
        prefix: of the identifiers in the drawing; unique on the page.
        measure: what is lost.
        reach: lowest and highest share that the axis holds, for a scale that drawings have in common; by default those
            of these intervals.
    """
    with _canvas(height=58 * len(names) + 56) as canvas:
        axes = canvas.add_subplot()
        for row, (name, gap) in enumerate(zip(names, gaps, strict=True)):
            low, value, high = 100 * gap.low, 100 * gap.value, 100 * gap.high
            axes.barh(row, value, height=0.34, color=ACCENT, zorder=2)
            axes.plot([low, high], [row, row], color=INK, linewidth=1.6, zorder=3)
            axes.plot([low, high], [row, row], color=INK, linestyle="none", marker="|", markersize=9, zorder=3)
            shown = shortened(name, LONGEST_NAME)
            plain: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "bbox": {"facecolor": PAGE, "edgecolor": "none", "pad": 1},
            }
            axes.text(0, row - 0.3, shown, weight="bold", **plain)
            axes.text(1, row - 0.3, f"{value:.1f} [{low:.1f}, {high:.1f}]", ha="right", size=12, **plain)
            axes.plot([0, 0], [row - 0.24, row + 0.24], color=INK, linewidth=1.4, zorder=4)
        axes.set_ylim(len(names) - 0.6, -0.75)
        lowest, highest = reach or (min(gap.low for gap in gaps), max(gap.high for gap in gaps))
        widest = max(100 * abs(lowest), 100 * abs(highest), 1.0)
        axes.set_xlim(min(110 * min(lowest, 0.0), -0.02 * widest), max(108 * highest, 0.1 * widest))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=LINE, linewidth=0.8, zorder=0)
        axes.tick_params(length=0)
        axes.set_xlabel(f"points of {measure} lost")
        listed = "; ".join(f"{name} {gap} points" for name, gap in zip(names, gaps, strict=True))
        return _svg(canvas, prefix=prefix, label=f"Bar chart of the gap mixed-same minus mixed-rand: {listed}")


def curve_plot(curve: pd.DataFrame, column: str, *, prefix: str) -> Markup:
    """Draw one scalar of a training run against the step, a line for each phase.

    Args:
        curve: columns step, phase (may be absent) and `column`; cells that are not finite are left out. At least one
            is finite.
        column: which scalar.
        prefix: of the identifiers in the drawing; unique on the page.
    """
    finite = curve[np.isfinite(curve[column])]
    phases = list(dict.fromkeys(finite["phase"])) if "phase" in finite else [None]
    with _canvas(height=190) as canvas:
        axes = canvas.add_subplot()
        for number, phase in enumerate(phases):
            rows = finite if phase is None else finite[finite["phase"] == phase]
            _curve(axes, rows["step"].to_numpy(), rows[column].to_numpy(), DASHES[number % len(DASHES)])
            if len(phases) > 1:
                end = rows.iloc[-1]
                axes.annotate(
                    str(phase),
                    (end["step"], end[column]),
                    xytext=(0, 6),
                    textcoords="offset points",
                    ha="right",
                )
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.02)
        axes.set_xlabel("step")
        values = finite[column]
        label = f"Line chart of {column} by step: from {values.iloc[0]:.4g} to {values.iloc[-1]:.4g}"
        return _svg(canvas, prefix=prefix, label=label)


def strata_plot(
    images: Sequence[Sequence[UInt8[Tensor, "height width 3"]]],
    importance: Sequence[Sequence[Float[np.ndarray, "rows columns"]]],
    emphases: Sequence[Sequence[float]],
    *,
    prefix: str,
) -> Markup:
    """Draw one row per stratum: the images that it emphasises, each next to a copy lit where the emphasis comes from.

    Args:
        images: of each stratum, the one that it emphasises most first.
        importance: of each image, by how much the emphasis falls where a patch is taken out. The highest value of a row
            is fully lit.
        emphases: on each image.
        prefix: of the identifiers in the drawing; unique on the page.
    """
    side, gap, left, below = 48, 14, 24, 22
    columns = max(len(row) for row in images)
    width, height = left + columns * (2 * side + 1 + gap), len(images) * (side + below) + below
    with _canvas(height=height, width=width, layout="none") as canvas:
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.text(
            left / 4, below / 2, "stratum, and the images that it emphasises most", va="center", size=12, color=MUTED
        )
        for number, row in enumerate(zip(images, importance, emphases, strict=True)):
            top = below + number * (side + below)
            highest = max(float(shares.max()) for shares in row[1])
            axes.text(left / 2 - 3, top + side / 2, str(number + 1), ha="center", va="center", weight="bold")
            for place, (image, shares, factor) in enumerate(zip(*row, strict=True)):
                start = left + place * (2 * side + 1 + gap)
                for right, pixels in ((0, image.numpy()), (side + 1, lit(image.numpy(), shares, highest))):
                    extent = (start + right, start + right + side, top + side, top)
                    axes.imshow(pixels, extent=extent, interpolation="none", aspect="auto")
                axes.text(start, top + side + 9, f"{factor:.2f}", va="center", size=12, color=MUTED)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        listed = "; ".join(f"{number}: {row[0]:.2f}" for number, row in enumerate(emphases, start=1))
        label = f"Images that each stratum emphasises, and which parts of them; highest emphasis of stratum {listed}"
        return _svg(canvas, prefix=prefix, label=label)


def lit(
    image: UInt8[np.ndarray, "height width 3"], importance: Float[np.ndarray, "rows columns"], highest: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Grey and darken an image, and lay a warm colour over what is important."""
    height, width = image.shape[:2]
    share = np.clip(importance / highest, 0, 1) if highest > 0 else np.zeros(importance.shape)
    rows = np.arange(height) * share.shape[0] // height
    cells = np.arange(width) * share.shape[1] // width
    strength = share[rows][:, cells, None]
    grey = 0.4 * image.mean(2, keepdims=True)
    lit = (1 - 0.85 * strength) * grey + 0.85 * strength * np.array(WARM)
    pixels: np.ndarray = lit.round().astype(np.uint8)
    return pixels


def _curve(axes: Axes, steps: np.ndarray, values: np.ndarray, dashes: str) -> None:
    # More points than pixels cannot be seen; means of equal stretches keep the course of the curve.
    stretches = min(len(steps), WIDTH // 2)
    steps, values = (
        np.array([part.mean() for part in np.array_split(column, stretches)]) for column in (steps, values)
    )
    marker = "o" if len(steps) < 3 else ""
    axes.plot(steps, values, color=ACCENT, linewidth=1.8, linestyle=dashes, marker=marker)


@contextmanager
def _canvas(*, height: float, width: float = WIDTH, layout: Any = "constrained") -> Iterator[Canvas]:
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(width / 72, height / 72), layout=layout)
        FigureCanvasSVG(canvas)
        yield canvas


def _svg(canvas: Canvas, *, prefix: str, label: str) -> Markup:
    written = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    canvas.savefig(written, format="svg", transparent=True, metadata=no_metadata)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    # Several drawings share one page, so their identifiers must differ.
    svg = re.sub(r'(<image [^>]*?) id="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<\w+ )id="', rf'\g<1>id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href="#|"url\(#)', rf"\g<1>{prefix}-", svg)
    # Written for a file of its own, it would style the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    opening = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="{}" xmlns:xlink={}>').format(
        label,
        re.search(r'viewBox="([^"]+)"', svg)[1],  # type: ignore[index]
        Markup('"http://www.w3.org/1999/xlink"'),
    )
    # matplotlib escapes all text it draws, and the names are drawn by it.
    return opening + Markup(svg[svg.index(">") + 1 :])
