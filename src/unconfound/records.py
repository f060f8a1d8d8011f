"""Dataclasses from what JSON and TOML files hold, each field of the type that it is declared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def record(kind: type[Record], values: object, *, where: str = "") -> Record:
    """Make a dataclass of what a file says.

    Args:
        kind: the dataclass. Its fields are numbers, texts, Path, bool, None, Literal, Any, other such dataclasses, and
            tuples (lists in a file), mappings by text and unions of these.
        values: by the names of its fields; those that have a default may be left out.
        where: of the values in the file, for errors: "schema", say.

    Raises:
        ValueError: a value is missing, unknown or of another type; in one line, which one.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'it'} must be a section of names and values, got {shown(values)}")
    known = fields(kind)  # type: ignore[arg-type]
    inside = f"{where}." if where else ""
    for name in values:
        if name not in {field.name for field in known}:
            raise ValueError(f"{inside}{_plain(name)} is unknown")
    for field in known:
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{inside}{field.name} is missing")
    hints = get_type_hints(kind)
    return kind(**{name: typed(hints[name], value, where=f"{inside}{name}") for name, value in values.items()})


def typed(hint: Any, value: object, *, where: str) -> Any:
    """Return a value of a file as the type that it must have: a list as a tuple, a text as a path, and the like.

    Raises:
        ValueError: it is of another type; in one line, with what was allowed.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if is_dataclass(hint):
        return record(hint, value, where=where)  # type: ignore[arg-type]
    if origin in (Union, UnionType):
        return _one_of(inner, value, where=where)
    if origin is Literal and any(value == each and type(value) is type(each) for each in inner):
        return value
    if origin in (tuple, list, Sequence) and isinstance(value, list | tuple):
        each = inner[:1] * len(value) if origin is not tuple or inner[-1] is ... else inner
        if len(each) == len(value):
            return tuple(
                typed(kind, item, where=f"{where}[{place}]")
                for place, (kind, item) in enumerate(zip(each, value, strict=True))
            )
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {name: typed(inner[1], item, where=f"{where}.{_plain(name)}") for name, item in value.items()}
    if hint is float and type(value) in (int, float):
        return value
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint in _WORDS and type(value) is hint:
        return value
    raise ValueError(f"{where} must be {_named(hint)}, got {shown(value)}")


def shown(value: object) -> str:
    """Return a value as an error shows it: in one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(name: str) -> str:
    return " ".join(name.split())[:80]


def _one_of(kinds: Sequence[Any], value: object, *, where: str) -> Any:
    given = [kind for kind in kinds if kind is not NoneType]
    if value is None and len(given) < len(kinds):
        return None
    if len(given) == 1:
        return typed(given[0], value, where=where)
    for kind in given:
        with suppress(ValueError):
            return typed(kind, value, where=where)
    raise ValueError(f"{where} must be {' or '.join(_named(kind) for kind in given)}, got {shown(value)}")


def _named(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(repr(each) for each in inner)
    if origin in (Union, UnionType):
        return " or ".join(_named(each) for each in inner if each is not NoneType)
    if origin in (tuple, list, Sequence):
        return (
            f"a list, of which each is {_named(inner[0])}"
            if origin is not tuple or inner[-1] is ...
            else f"a list of {len(inner)}"
        )
    if origin in (dict, Mapping) or is_dataclass(hint):
        return "a section of names and values"
    return _WORDS.get(hint, "a text")
