"""Whether the first row of a table holds the names of its columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from unconfound.data.tables.column_kinds import SHARE, Scale, find_scale, read_scale, stored_form

_ROWS = 1000


def check_header(names: Sequence[str], frame: pd.DataFrame, expected: Collection[str]) -> list[str]:
    """Refuse a file whose first row is one of values, which would be lost.

    It is one where each of its cells is of the kind of its column: a number above numbers, a date above dates, a
    category above the same category; and where one of them at least is so. Numbers are names all the same where they
    go up or are whole and go down (pixels, years, wavelengths), or are different whole numbers that their own columns
    lack, or are 0 alone. That is noted unless they are 0, 1, 2, ...

    Args:
        names: the cells of the first row, "" where they are empty.
        frame: the rows after it, as text.
        expected: names of columns; a first row that has one of them is a header.

    Raises:
        ValueError: the first row holds values.
    """
    if not len(frame) or any(name in names for name in expected):
        return []
    head = frame.iloc[:_ROWS]
    alike = [_alike(name, head.iloc[:, place]) for place, name in enumerate(names) if name]
    if False in alike or True not in alike:
        return []
    numbers = _numbers(names)
    if len(numbers) > 1 and numbers[0] in (0, 1) and (np.diff(numbers) == 1).all():
        return []
    repeated = [name for place, name in enumerate(names) if bool((head.iloc[:, place] == name).any())]
    # A word above the same word is a value, whatever the numbers beside it do.
    run = _run(numbers) and len(_numbers(repeated)) == len(repeated)
    if run or (not repeated and _chosen(names)):
        return [
            f"its header holds numbers ({_shown(names)}): where they are values, write the columns' names above them"
        ]
    raise ValueError(
        f"it has no header: its first row holds values ({_shown(names)}); write the columns' names above it"
    )


def _alike(name: str, column: pd.Series) -> bool | None:
    """Whether a cell of the first row is one of its column's values; None where that cannot be told."""
    scale, _ = find_scale(column, written=True)
    if scale is not None:
        first = read_scale(pd.Series([name]), {"kind": scale.kind, **stored_form(scale)})
        return first is not None and first.share >= SHARE
    known = column.dropna()
    if bool((known == name).any()):
        return True
    # Of values that are all different, another one says nothing.
    return False if known.nunique() < len(known) else None


def _run(numbers: np.ndarray) -> bool:
    """Whether numbers go up, as years or wavelengths do, or are whole and go down, or are 0, the name of a series."""
    steps = np.diff(numbers)
    if not len(steps):
        return bool(numbers.tolist() == [0])
    return bool((steps > 0).all() or ((steps < 0).all() and (numbers % 1 == 0).all()))


def _chosen(names: Sequence[str]) -> bool:
    """Whether names may be those of chosen columns: several different whole numbers."""
    whole = [name for name in names if name.isdecimal()]
    return 1 < len(whole) == len(set(whole))


def _numbers(names: Sequence[str]) -> np.ndarray:
    """Those of the names that are numbers."""
    scale: Scale | None = read_scale(pd.Series(list(names), dtype=str), {"kind": "number"})
    return scale.numbers[~np.isnan(scale.numbers)] if scale is not None else np.empty(0)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
