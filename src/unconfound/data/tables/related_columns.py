"""Columns from which others can be told: what still tells a nuisance once its own columns are exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.data.tables.columns import feature_names

# Rows that are looked at; the least share that is worth naming, and how many columns are named.
ROWS, LEAST, NAMED = 10_000, 0.1, 5
# Of the largest sum of squares: one feature of each category depends on the others.
_RIDGE = 1e-9


def related_columns(
    rows: Float[Tensor, "rows features"], columns: Sequence[dict[str, Any]], chosen: Bool[Tensor, " features"]
) -> dict[str, float]:
    """Find out how much of the chosen features each other column explains by a linear regression.

    Args:
        rows: training rows.
        columns: of the table, as `columns.fit_columns` has them.
        chosen: features of some columns.

    Returns:
        By column that is not chosen, the adjusted share of explained variance, over all chosen features together; the
        largest first. A column with as many features as there are rows is left out.
    """
    centred = rows.double() - rows.double().mean(0)
    wanted, found, start = centred[:, chosen], {}, 0
    total = float(wanted.square().sum())
    for column in columns:
        width = len(feature_names([column]))
        place, start = slice(start, start + width), start + width
        if bool(chosen[place].any()) or len(rows) <= width + 1 or total == 0:
            continue
        given = centred[:, place]
        gram = given.T @ given
        # Added to 1, so that a constant column explains nothing.
        ridge = _RIDGE * (1 + gram.diagonal().max())
        weights = torch.linalg.solve(gram + ridge * torch.eye(width, dtype=gram.dtype), given.T @ wanted)
        unexplained = float((wanted - given @ weights).square().sum()) / total
        found[str(column["name"])] = 1 - unexplained * (len(rows) - 1) / (len(rows) - width - 1)
    return dict(sorted(found.items(), key=lambda named: -named[1]))


def related_note(
    rows: Float[Tensor, "rows features"],
    columns: Sequence[dict[str, Any]],
    chosen: Bool[Tensor, " features"],
    *,
    words: str,
) -> str:
    """Say which other columns tell the chosen ones; the empty string where none does.

    Args:
        rows, columns, chosen: as `related_columns` takes them.
        words: what the chosen columns are called.
    """
    telling = [
        f"{name} ({share:.0%})" for name, share in related_columns(rows, columns, chosen).items() if share >= LEAST
    ]
    if not telling:
        return ""
    return (
        f"other columns still tell {words}; each explains, by a linear regression, this share of the variance: "
        f"{', '.join(telling[:NAMED])}; exchange them, too, if the nuisance drives them (--nuisance)"
    )
