"""The drawing of a map: thousands of dots in a few kilobytes of SVG, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from unconfound.report.plots import WIDTH
from unconfound.report.words import shortened

# Names are written in 13 pixels: a line of them, and the widest that a character is on average.
LINE, CHARACTER = 14, 9
LONGEST_NAME = 14


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
    taken: list[tuple[float, float, float]] = []
    # Large sets first, so that small ones are not hidden under them.
    for name, colour, rows in sorted(members, key=lambda member: (member[1] >= 0, -len(member[2]))):
        # A line without length and with a round cap is a dot: one path a set keeps thousands of points small.
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in placed[rows])
        dots.append(
            Markup('<path class="dots colour-{}" d="{}"></path>').format("rest" if colour < 0 else colour, path)
        )
        if named and colour >= 0:
            short = shortened(name, LONGEST_NAME)
            x, y = np.median(placed[rows], axis=0).tolist()
            x, y = _free_place(x, y, CHARACTER * len(short) / 2, taken, width=size, height=height)
            names.append(Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x, y, short))
    return Markup('<svg class="map" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        size, height, label, Markup("").join(dots + names)
    )


def _free_place(
    x: float, y: float, half: float, taken: list[tuple[float, float, float]], *, width: int, height: int
) -> tuple[float, float]:
    """Move a name of half a width down by lines until it covers no earlier one, and note where it is."""
    x, y = min(max(x, half), width - half), min(max(y + 4, LINE), height - 4)
    for step in range(height // LINE):
        lower = LINE + (y - LINE + step * LINE) % (height - LINE)
        if all(abs(x - other) >= half + its or abs(lower - place) >= LINE for other, place, its in taken):
            y = lower
            break
    taken.append((x, y, half))
    return x, y
