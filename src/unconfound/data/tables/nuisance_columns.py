"""Columns of a table that a user calls a nuisance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.data.core.batch import Sequences
from unconfound.data.core.nuisance import Nuisance
from unconfound.data.tables.columns import feature_names
from unconfound.suggestions import nearest_name


@dataclass(frozen=True, eq=False)
class NuisanceColumns(Nuisance):
    """Columns that are exchanged together: a row gets all of them from one other row.

    Args:
        words: as for every nuisance.
        features: which features of a row the columns became.
    """

    words: str
    features: Bool[Tensor, " features"]

    def exchanged(
        self, inputs: Tensor | Sequences, givers: Tensor | Sequences, draws: Float[Tensor, " batch"]
    ) -> Tensor | Sequences:
        """Return rows with these columns of others; nothing else is drawn."""
        assert isinstance(inputs, Tensor)
        assert isinstance(givers, Tensor)
        return torch.where(self.features.to(inputs.device), givers, inputs)


def nuisance_columns(names: Sequence[str], stored: Mapping[str, Any], notes: Sequence[str]) -> NuisanceColumns:
    """Find the features of columns.

    Args:
        names: of columns; that of a column of lists stands for all of its places.
        stored: "label", "group" and "columns", as `table.frame_table` has them.
        notes: what was said of the columns, which tells why one is no feature.

    Raises:
        ValueError: a column is unknown, the label, the group, no feature or constant, or no other column is left.
    """
    columns = stored["columns"]
    chosen = [any(_means(name, column) for name in names) for column in columns]
    for name in names:
        _check(name, stored, notes)
    if all(chosen):
        raise ValueError("nuisance names all columns, which leaves nothing to learn from: name fewer")
    widths = torch.tensor([len(feature_names([column])) for column in columns])
    unique = list(dict.fromkeys(names))
    listed = unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"
    return NuisanceColumns(
        f"the column{'s' if len(unique) > 1 else ''} {listed}", torch.tensor(chosen).repeat_interleave(widths)
    )


def _means(name: str, column: Mapping[str, Any]) -> bool:
    called = str(column["name"])
    return name == called or (called.startswith(f"{name}[") and called.endswith("]"))


def _check(name: str, stored: Mapping[str, Any], notes: Sequence[str]) -> None:
    if name == stored["label"]:
        raise ValueError(f"nuisance {name!r} is the label, which is to be learnt: name other columns")
    if name == stored["group"]:
        raise ValueError(f"nuisance {name!r} is the group, which is no feature of a row: leave --group out")
    found = [column for column in stored["columns"] if _means(name, column)]
    if not found:
        said = next((note for note in notes if note.startswith(f"column {name!r} is left out")), None)
        if said is not None:
            raise ValueError(f"nuisance {name!r} cannot be exchanged: {said}")
        known = (str(column["name"]) for column in stored["columns"])
        raise ValueError(f"nuisance {name!r} is no column: {nearest_name(name, known)}")
    if not any(_varies(column) for column in found):
        raise ValueError(f"nuisance {name!r} has one value in all training rows, so an exchange changes nothing")


def _varies(column: Mapping[str, Any]) -> bool:
    several = len(column["categories"]) > 1 if column["kind"] == "category" else column["low"] < column["high"]
    return bool(several or column["missing"])
