"""A series as a small plot: a line a channel, or an image of channels by time where there are many."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, UInt8
from markupsafe import Markup
from PIL import Image
from torch import Tensor

WIDTH, HEIGHT, MARGIN = 320, 160, 12
LINES = 6  # more channels are an image
STRETCHES = WIDTH // 2
HEAT_WIDTH, HEAT_HEIGHT = 160, 96


def series_length(values: Float[np.ndarray, "time channels"]) -> str:
    """Return "57 steps"."""
    return f"{len(values):,} step{'' if len(values) == 1 else 's'}"


def draw_lines(values: Float[np.ndarray, "time channels"], *, label: str) -> Markup:
    """Draw every channel as a line, time to the right, each channel on the scale of its own range.

    Of a series with more steps than the drawing has room for, the lowest and the highest value of equal stretches are
    drawn, so that no peak is lost. A constant channel is a line in the middle, a single step a dot.

    Args:
        values: finite; at least one step, at most ten channels.
        label: what a screen reader says before the length.
    """
    lines = []
    for channel in range(values.shape[1]):
        times, shown = _stretches(values[:, channel].astype(np.float64))
        low, high = shown.min(), shown.max()
        share = (shown - low) / (high - low) if high > low else np.full(len(shown), 0.5)
        right = MARGIN + times * (WIDTH - 2 * MARGIN)
        down = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
        points = " ".join(f"{x:.0f} {y:.0f}" for x, y in zip(right, down, strict=True))
        path = f"M{points}" if len(shown) > 1 else f"M{points}h0"
        lines.append(Markup('<path class="line colour-{}" d="{}"></path>').format(channel, path))
    return Markup('<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, f"{label}: {series_length(values)}", Markup("").join(lines)
    )


def heat_map(values: Float[np.ndarray, "time channels"]) -> UInt8[Tensor, "3 height width"]:
    """Colour the values of many channels, time to the right, the first channel at the bottom: as spectrograms are.

    Args:
        values: finite. Colours span the range of this series; a constant one is of one colour.
    """
    image = values.T[::-1].astype(np.float64)
    low, high = image.min(), image.max()
    share = (image - low) / (high - low) if high > low else np.full(image.shape, 0.5)
    small = Image.fromarray(share.astype(np.float32)).resize(
        (min(HEAT_WIDTH, image.shape[1]), min(HEAT_HEIGHT, image.shape[0])), Image.Resampling.BOX
    )
    coloured = mpl.colormaps["viridis"](np.asarray(small), bytes=True)[..., :3]
    return torch.from_numpy(np.ascontiguousarray(coloured.transpose(2, 0, 1)))


def _stretches(
    values: Float[np.ndarray, " time"],
) -> tuple[Float[np.ndarray, " shown"], Float[np.ndarray, " shown"]]:
    """Return times in [0, 1] and the values there."""
    if len(values) <= 2 * STRETCHES:
        return (np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])), values
    parts = np.array_split(values, STRETCHES)
    ends = np.array([end for part in parts for end in (part.min(), part.max())])
    return np.repeat(np.linspace(0, 1, STRETCHES), 2), ends
