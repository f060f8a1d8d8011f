"""What a method learnt of each training sample, as a table beside the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from unconfound.data import Source
from unconfound.files import atomic


def write_samples(path: Path, source: Source, learnt: Mapping[str, Tensor]) -> None:
    """Write a Parquet file of the columns index, name, label and group (where there are any), and what was learnt.

    Args:
        path: replaced atomically.
        source: the training samples, in whose order the rows are.
        learnt: [samples] by name (`Method.of_samples`).
    """
    import pandas as pd  # takes a second, and few methods learn something of samples

    columns: dict[str, Any] = {"index": range(len(source))}
    if source.names is not None:
        columns["name"] = list(source.names)
    if source.labels is not None:
        columns["label"] = _named(source.labels, source.schema.classes)
    if source.groups is not None:
        columns["group"] = _named(source.groups, source.schema.groups)
    columns |= {name: values.numpy() for name, values in learnt.items()}
    with atomic(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)


def _named(values: Int[Tensor, " samples"], names: tuple[str, ...]) -> list[str | None]:
    return [names[value] if 0 <= value < len(names) else None for value in values.tolist()]
