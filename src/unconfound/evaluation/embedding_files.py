"""Embeddings that another program wrote: .npy, .npz and Parquet files, read without any change of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data.files.array_files import check_finite_array
from unconfound.data.files.damaged import naming

SUFFIXES = (".npy", ".npz", ".parquet")
# What an array or a column may be called, the first that is there.
VECTORS = ("embeddings", "embedding", "features", "vectors", "vector", "x")
NAMES = ("name", "names", "file", "files", "filename", "file_name", "img_filename", "path", "image", "index")
SPLITS = ("split", "splits")
LABELS = ("label", "labels", "y")
GROUPS = ("group", "groups")


@dataclass(frozen=True, eq=False)
class EmbeddingFile:
    """What a file of embeddings holds.

    Args:
        path: the file.
        features: as they stand there, as float32.
        names: of the sample of each row, None where the file names none.
        splits: the set of each row, None where the file does not say.
        labels: the class of each row, "" where it has none; None where the file does not say.
        groups: the group of each row, in the same way.
    """

    path: Path
    features: Float[Tensor, "rows features"]
    names: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    groups: Sequence[str] | None = None


def is_embedding_file(word: str) -> bool:
    """Return whether a word names a file of embeddings by its ending."""
    return Path(word).suffix in SUFFIXES


def read_embedding_file(
    path: Path, *, names: Path | None = None, label: str | None = None, group: str | None = None
) -> EmbeddingFile:
    """Read embeddings, one row a sample. Nothing is scaled, filled or unpickled, so the kind of file changes nothing.

    An .npy file is an array [samples, features]. An .npz file holds it as `embeddings`, and may hold `names`, `split`,
    `labels` and `groups`. A Parquet file holds one column of vectors (`embedding`, or the only column of lists), or one
    column a feature (`embedding_0`, `embedding_1`, ..., or other numbered columns), and may hold the columns `name`,
    `split`, `label` and `group`, as `unconfound embed` writes them. Without names, the column `index` tells the samples
    of a split apart.

    Args:
        path: the file.
        names: a text file with the name of each row, one a line, for a file without names.
        label: the array or column of the classes, where it has another name.
        group: the array or column of the groups, in the same way.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, holds no embeddings, or values that are not finite; there is no such column; or
            names, splits, labels or groups are not one a row.
    """
    for file in (path, *([] if names is None else [names])):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    columns = _parquet(path) if path.suffix == ".parquet" else _arrays(path)
    vectors = columns.pop("")
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}: embeddings are numbers [samples, features]"
        )
    with np.errstate(over="ignore"):  # becomes infinite, which is refused next
        vectors = np.array(vectors, np.float32, order="C")
    check_finite_array(vectors, what=f"{path}: embeddings")
    for word, option in ((label, "label"), (group, "group")):
        if word is not None and word not in columns:
            raise ValueError(
                f"{path} has no column {word!r} for --{option}: it has "
                + (", ".join([*columns][:5]) or "embeddings alone")
            )
    with naming(path):
        found = EmbeddingFile(
            path,
            torch.from_numpy(vectors),
            names=_column(columns, NAMES),
            splits=_column(columns, SPLITS),
            labels=_column(columns, LABELS if label is None else (label,)),
            groups=_column(columns, GROUPS if group is None else (group,)),
        )
    if names is not None:
        with naming(names, fault="is no text in UTF-8"):
            found = replace(found, names=names.read_text(encoding="utf-8").splitlines())
    for what in ("names", "splits", "labels", "groups"):
        values = getattr(found, what)
        if values is not None and len(values) != len(vectors):
            raise ValueError(f"{path} has {len(vectors):,} embeddings and {len(values):,} {what}: one a row is needed")
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name, that of the embeddings as ""."""
    with naming(path, fault="cannot be read as an array", advice=" (objects are never unpickled)"):
        opened: Any = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            return {"": opened}
        with opened:
            found = {name: np.asarray(opened[name]) for name in opened.files}
    known = next((name for name in VECTORS if name in found), None)
    if known is None:
        raise ValueError(f"{path} holds {', '.join(found) or 'nothing'}: call the array of the embeddings embeddings")
    return {"": found.pop(known), **found}


def _parquet(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a file by name, the embeddings as ""."""
    with naming(path, fault="cannot be read as a Parquet file"):
        table = pq.ParquetFile(path).read()
        table.validate(full=True)
    lists = [field.name for field in table.schema if _is_vector(field.type)]
    known = next((name for name in VECTORS if name in lists), lists[0] if len(lists) == 1 else None)
    with naming(path, fault="holds no embeddings that can be read"):
        if known is not None:
            vectors: np.ndarray | None = _stacked(table[known])
            used = {known}
        else:
            numbered = _numbered(table)
            vectors = np.stack([_numbers(table[name]) for name in numbered], 1) if numbered else None
            used = set(numbered)
    if vectors is None:
        several = f"the columns of lists {', '.join(lists[:5])}" if lists else ", ".join(table.column_names[:5])
        raise ValueError(
            f"{path} holds {several}: give one column of lists called embedding, or numbered columns embedding_0, "
            "embedding_1, ..."
        )
    with naming(path):
        others = {
            name: table[name].to_pandas().to_numpy() for name in table.column_names if name not in used | {*lists}
        }
    return {"": vectors, **others}


def _is_vector(kind: pa.DataType) -> bool:
    listed = isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)
    return listed and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def _stacked(lists: pa.ChunkedArray) -> np.ndarray:
    """Return a column of lists as an array.

    Raises:
        ValueError: a list is missing, or of another length than the first.
    """
    whole = lists.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of several chunks that are too long for one
        whole = pa.concat_arrays(whole.chunks)
    if whole.null_count:
        raise ValueError(f"{whole.null_count:,} of the {len(whole):,} vectors are missing")
    values = _numbers(whole.flatten())
    widths = np.unique(whole.value_lengths()) if not isinstance(whole.type, pa.FixedSizeListType) else None
    if widths is not None and len(widths) > 1:
        raise ValueError(f"the vectors have between {widths[0]} and {widths[-1]} numbers: one length is needed")
    return values.reshape(len(whole), -1)


def _numbers(column: Any) -> np.ndarray:
    """Return numbers, NaN where they are missing."""
    values: np.ndarray = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values


def _numbered(table: pa.Table) -> list[str]:
    """Return the names of the columns NAME_0, NAME_1, ..., in their order; none where there are not two or more."""
    found: dict[str, dict[int, str]] = {}
    for field in table.schema:
        number = re.fullmatch(r"(.*?)[_.]?\[?(\d+)\]?", field.name)
        if number and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            found.setdefault(number[1], {})[int(number[2])] = field.name
    whole = {
        stem: by for stem, by in found.items() if len(by) > 1 and sorted(by) == [*range(min(by), min(by) + len(by))]
    }
    if not whole:
        return []
    known = next((stem for stem in VECTORS if stem in whole), max(whole, key=lambda stem: len(whole[stem])))
    return [whole[known][number] for number in sorted(whole[known])]


def _column(columns: dict[str, np.ndarray], known: Sequence[str]) -> list[str] | None:
    """Return the first column of these names as text, "" where a value is missing."""
    name = next((each for each in known if each in columns), None)
    if name is None:
        return None
    return [_text(value) for value in columns[name].reshape(-1).tolist()]


def _text(value: Any) -> str:
    """Return a name, a class or a group as text, the same from each kind of file."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    # A whole number that a file holds as a float, as those with gaps are, is the same name.
    return str(int(value)) if isinstance(value, bool | float) and float(value).is_integer() else str(value)
