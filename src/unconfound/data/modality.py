"""Which kinds of data a user may have named, before any of them is read."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from unconfound.data.core.source import Modality
from unconfound.data.graphs.tu_files import is_tu_folder
from unconfound.data.sequences.recordings import has_recordings
from unconfound.options.data import DataOptions
from unconfound.options.data_sets import ARRAYS, NAMED_OF, TABLES, TEXTS


def modalities_of(options: DataOptions) -> set[str]:
    """Return the modalities that the data may be of, by names and suffixes alone; all where nothing tells."""
    named = next((kind for kind, names in NAMED_OF.items() if options.data in names), None)
    path = Path(options.data)
    if named == "sequences":
        return {"text", "series"}
    if named is not None and named != "images":
        return {named}
    if named is None and path.is_dir() and is_tu_folder(path):
        return {"graphs"}
    if named is None and path.is_dir() and has_recordings(path):
        return {"series"}
    if named is not None or path.is_dir():
        return {"tables"} if options.rows else {"images"}
    if options.text is not None or path.suffix in TEXTS:
        return {"text"}
    if path.suffix in ARRAYS:
        return {"images", "tables", "series"}
    # A column of a table may hold texts; a run of texts says which.
    return {"tables", "text"} if path.suffix in TABLES else set(get_args(Modality))
