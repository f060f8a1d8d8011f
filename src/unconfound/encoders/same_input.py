"""Whether two encoders take data that are read in one way, by their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unconfound.encoders.saved import Card

# Names that a message lists.
_LISTED = 5


def different_inputs(first: Card, other: Card) -> tuple[str, str] | None:
    """Return what the first of two encoders takes and the other takes instead, as in ("images", "tables").

    None where data that are read for the first serve the other, too. Classes and groups are not looked at, as no
    encoder takes them; nor is what an encoder may be asked at another value, such as the size of images.

    Args:
        first: for whose encoder data are read.
        other: of another encoder.
    """
    if first.schema.modality != other.schema.modality:
        return first.schema.modality, other.schema.modality
    kinds = first.restore.get("kind"), other.restore.get("kind")
    if None not in kinds and kinds[0] != kinds[1]:
        return f"data of the kind {kinds[0]!r}", f"{kinds[1]!r}"
    mine, theirs = first.restore.get("encoding"), other.restore.get("encoding")
    if mine is not None and theirs is not None and (found := _different_encodings(mine, theirs)) is not None:
        return found
    if first.schema.shape[0] != other.schema.shape[0]:
        return f"{first.schema.modality} of shape {first.schema.shape}", f"of shape {other.schema.shape}"
    return None


def _different_encodings(first: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str] | None:
    if "columns" in first and "columns" in other:
        return _different_columns(first["columns"], other["columns"])
    if "vocabulary" in first and "vocabulary" in other:
        return _different_names("the words", first["vocabulary"], other["vocabulary"])
    # Of graphs and of recordings.
    for key in (*first, *other):
        if key != "classes" and first.get(key) != other.get(key):
            return f"{key.replace('_', ' ')} {_short(first.get(key))}", _short(other.get(key))
    return None


def _different_columns(
    first: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    names = [[column["name"] for column in columns] for columns in (first, other)]
    if names[0] != names[1]:
        return _different_names("the columns", *names)
    for mine, theirs in zip(first, other, strict=True):
        if mine.get("categories") != theirs.get("categories") and mine["kind"] == theirs["kind"]:
            what = f"in the column {mine['name']!r} the categories"
            return _different_names(what, mine["categories"], theirs["categories"])
        for key in ("kind", *sorted(mine.keys() | theirs.keys())):
            if mine.get(key) != theirs.get(key):
                return f"the column {mine['name']!r} with {key} {_short(mine.get(key))}", _short(theirs.get(key))
    return None


def _different_names(what: str, first: Sequence[str], other: Sequence[str]) -> tuple[str, str] | None:
    """Say which names each has alone; both in their order where they have the same ones."""
    if list(first) == list(other):
        return None
    known, known_to_other = set(first), set(other)
    own, others = [name for name in first if name not in known_to_other], [name for name in other if name not in known]
    if not own and not others:
        return f"{what} in the order {_short(first)}", _short(other)
    if not own:
        return f"none of {what} {_short(others)}", "these"
    return f"{what} {_short(own)}", _short(others) if others else "none of these"


def _short(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    return ", ".join(map(_short, value[:_LISTED])) + (", ..." if len(value) > _LISTED else "")
