"""What the items of an index are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unconfound.data.load import NAMED


def full_name(name: str) -> str:
    """Return the name that an index stores: an absolute path, so that a file has one name only."""
    return name if name.partition(":")[0] in NAMED else os.path.abspath(name)


def shown_name(name: str) -> str:
    """Return a name as it is shown: relative to the working folder where it lies inside of that."""
    here = os.path.join(os.getcwd(), "")
    return name.removeprefix(here)


def matching_names(there: pa.ChunkedArray, asked: Sequence[str], folder: Path) -> pa.Array:
    """Find the items that a user names, by their own names or by the folder or file that they come from.

    Args:
        there: the names of all items.
        asked: names; relative paths are those from the working folder.
        folder: of the index, for the error.

    Raises:
        ValueError: a name fits no item.
    """
    found = np.zeros(len(there), bool)
    for name in asked:
        fits = np.zeros(len(there), bool)
        for known in dict.fromkeys((name, full_name(name))):
            fits |= pc.equal(there, known).to_numpy()
            for separator in (os.sep, ":"):
                fits |= pc.starts_with(there, known.removesuffix(os.sep) + separator).to_numpy()
        if not fits.any():
            raise ValueError(f"{folder} holds no item {name!r}{_nearest(there, name)}")
        found |= fits
    return there.filter(pa.array(found)).combine_chunks()


def _nearest(there: pa.ChunkedArray, name: str) -> str:
    # Looking for the nearest of very many names takes minutes.
    known = there.slice(0, 10_000).to_pylist()
    near = get_close_matches(full_name(name), known, n=1)
    if near:
        return f": did you mean {shown_name(near[0])!r}?"
    return f": the first of its {len(there):,} items is {shown_name(known[0])!r}" if known else ": it is empty"
