"""Values and spans of values, as a user names those of a mask's foreground."""

from __future__ import annotations

import re
from collections.abc import Sequence

# From the first to the last value of each pair, both counted in.
Spans = tuple[tuple[float, float], ...]


def read_spans(stated: Sequence[str | int]) -> Spans:
    """Read values such as 3 and spans of values such as 5-20.

    Raises:
        ValueError: one is neither, or none is given.
    """
    spans = []
    for each in stated:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", str(each))
        first, last = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
        if first > last:
            raise ValueError(f"mask_values are values such as 3 or spans such as 5-20, got {str(each)!r}")
        spans.append((first, last))
    if not spans:
        raise ValueError("mask_values are empty: name the values of the foreground, or leave them out")
    return tuple(spans)
