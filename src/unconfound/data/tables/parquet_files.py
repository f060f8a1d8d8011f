"""A Parquet file as a frame: as it was written, with lists of numbers as columns."""

from __future__ import annotations

import base64
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_WIDE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


def read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a Parquet file.

    Lists of floats, such as embeddings, become columns "name[0]", "name[1]", ..., where all have one length. Text that
    is empty or "?" is missing, as in a CSV file.

    Returns:
        The table, rows numbered from 0, and notes for the run's log.

    Raises:
        Exception: whatever pyarrow or pandas say of a damaged file.
    """
    file = pq.ParquetFile(path)
    table = file.read()
    # Otherwise text that is no UTF-8 is found out far from here.
    table.validate(full=True)
    table, notes = _spread_lists(table)
    frame = table.to_pandas()
    for field in (each for each in table.schema if each.name in frame.columns):
        # As floats, which pandas takes where whole numbers have gaps, those above 2^53 are not all kept apart.
        if field.type in _WIDE and table[field.name].null_count:
            frame[field.name] = table[field.name].to_pandas(types_mapper=_WIDE.get).array
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            frame[field.name] = frame[field.name].mask(frame[field.name].isin(["", "?"]))
    for name in _categories(file):
        if name in frame.columns:
            frame[name] = frame[name].astype("category")
    return _without_row_index(frame, notes)


def _spread_lists(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Make a column of each place in the lists of floats."""
    arrays: dict[str, pa.ChunkedArray] = {}
    notes = []
    for field in table.schema:
        kind = field.type
        if not (_is_list(kind) and pa.types.is_floating(kind.value_type)):
            arrays[field.name] = table[field.name]
            continue
        lists = table[field.name]
        lengths = pc.unique(pc.drop_null(pc.list_value_length(lists))).to_pylist()
        if len(lengths) != 1 or lengths == [0]:
            arrays[field.name] = lists
            continue
        for place in range(lengths[0]):
            arrays[f"{field.name}[{place}]"] = pc.list_element(lists, place)
        notes.append(f"column {field.name!r} holds lists of {lengths[0]:,} numbers: each place is a feature")
    return (pa.table(arrays).replace_schema_metadata(table.schema.metadata), notes) if notes else (table, notes)


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, (pa.ListType, pa.LargeListType, pa.FixedSizeListType))


def _categories(file: pq.ParquetFile) -> list[str]:
    """The columns that were written as categories: pyarrow restores those of text only."""
    written = (file.metadata.metadata or {}).get(b"ARROW:schema")
    if written is None:
        return []
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(written)))
    return [field.name for field in schema if pa.types.is_dictionary(field.type)]


def _without_row_index(frame: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Make columns of the index's levels, but for whole numbers without a name, which number rows."""
    index = frame.index
    if not isinstance(index, pd.RangeIndex):
        kept = [
            level
            for level, name in enumerate(index.names)
            if name is not None or not pd.api.types.is_integer_dtype(index.get_level_values(level).dtype)
        ]
        if len(kept) < index.nlevels:
            notes = [*notes, "the index of its rows is left out: without a name, it is taken for row numbers"]
        frame.index.names = [
            f"__index_level_{level}__" if name is None else name for level, name in enumerate(index.names)
        ]
        frame = frame.reset_index(level=kept) if kept else frame
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return frame.reset_index(drop=True), notes
