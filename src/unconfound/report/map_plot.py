"""The drawing of a map: thousands of dots in a few kilobytes of SVG, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from unconfound.report.plots import WIDTH


def map_plot(
    points: Float[np.ndarray, "points 2"],
    members: Sequence[tuple[str, int, np.ndarray]],
    *,
    label: str,
    named: bool,
) -> Markup:
    """Draw points on a plane, each set of them in a colour of the page.

    Args:
        points: as `projection.project` gives them.
        members: name, number of the colour, rows of `points`. The colour -1 is grey.
        label: what a screen reader says.
        named: write the name of a set at its median, save that of the grey one.
    """
    size, pad = WIDTH, 12
    height = max(round(2 * pad + points[:, 1].max() * (size - 2 * pad)), size // 3)
    placed = pad + points * (size - 2 * pad)
    placed[:, 1] += (height - pad - placed[:, 1].max()) / 2
    dots, names = [], []
    taken: list[tuple[float, float]] = []
    # Large sets first, so that small ones are not hidden under them.
    for name, colour, rows in sorted(members, key=lambda member: (member[1] >= 0, -len(member[2]))):
        # A line without length and with a round cap is a dot: one path a set keeps thousands of points small.
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in placed[rows])
        dots.append(
            Markup('<path class="dots colour-{}" d="{}"></path>').format("rest" if colour < 0 else colour, path)
        )
        if named and colour >= 0:
            x, y = np.median(placed[rows], axis=0).tolist()
            x, y = _free_place(x, y, taken, width=size, height=height)
            names.append(Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x, y, _short(name)))
    return Markup('<svg class="map" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        size, height, label, Markup("").join(dots + names)
    )


def _free_place(
    x: float, y: float, taken: list[tuple[float, float]], *, width: int, height: int
) -> tuple[float, float]:
    """Move a name down by lines until it covers no earlier one, and note where it is."""
    line, edge = 14, 20
    x, y = min(max(x, edge), width - edge), min(max(y + 4, line), height - 4)
    lines = int(height // line)
    for step in range(lines):
        lower = line + (y - line + step * line) % (height - line)
        if all(abs(x - other) > edge or abs(lower - place) >= line for other, place in taken):
            y = lower
            break
    taken.append((x, y))
    return x, y


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"
