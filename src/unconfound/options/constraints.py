"""Ranges and choices of options, written into the types of dataclass fields, and the function that checks them all.

A range is written `Annotated[float, above(0)]`, or as one of the named types below; choices are a `Literal`. Usage
texts show what the checks enforce, because both read the types.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from unconfound.suggestions import nearest_name

Closed = Literal["both", "left", "right", "neither"]


@dataclass(frozen=True)
class Range:
    """The numbers that an option may take, with `closed` saying which of the bounds belong to them; NaN never does."""

    lowest: float
    highest: float
    closed: Closed

    def __contains__(self, value: float) -> bool:
        low = value >= self.lowest if self.closed in ("both", "left") else value > self.lowest
        return low and (value <= self.highest if self.closed in ("both", "right") else value < self.highest)

    def __str__(self) -> str:
        left = self.closed in ("both", "left")
        if self.highest == math.inf:
            return f"{'at least' if left else 'above'} {self.lowest}"
        right = self.closed in ("both", "right")
        return f"in {'[' if left else '('}{self.lowest}, {self.highest}{']' if right else ')'}"


def at_least(lowest: float) -> Range:
    """Return the range of numbers from `lowest`, which belongs to it."""
    return Range(lowest, math.inf, "both")


def above(lowest: float) -> Range:
    """Return the range of numbers greater than `lowest`."""
    return Range(lowest, math.inf, "right")


def within(lowest: float, highest: float, *, closed: Closed = "both") -> Range:
    """Return the range of numbers between two bounds, with `closed` saying which of these belong to it."""
    return Range(lowest, highest, closed)


PositiveInt = Annotated[int, at_least(1)]
NonNegativeInt = Annotated[int, at_least(0)]
PositiveFloat = Annotated[float, above(0)]
NonNegativeFloat = Annotated[float, at_least(0)]
Share = Annotated[float, within(0, 1)]
ShareBelowOne = Annotated[float, within(0, 1, closed="left")]


class Checked:
    """Parent of dataclasses whose values are checked against the ranges and choices of their fields' types.

    A class with conditions between several options extends `__post_init__`.
    """

    def __post_init__(self) -> None:
        check(self)


def check(options: object) -> None:
    """Check every field of a dataclass against the ranges and choices in its type.

    Raises:
        ValueError: a value is not allowed; in one line, the option, the value, and what is allowed or nearest.
    """
    for name, hint in get_type_hints(type(options), include_extras=True).items():
        _check(name, hint, getattr(options, name))


def range_of(hint: Any) -> Range | None:
    """Return the range in the type of a field, also inside an optional or a tuple type; None if there is none."""
    if get_origin(hint) is Annotated:
        return next((each for each in hint.__metadata__ if isinstance(each, Range)), None)
    return next((found for each in get_args(hint) if (found := range_of(each))), None)


def _check(name: str, hint: Any, value: Any) -> None:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        allowed = range_of(hint)
        if allowed is not None and value not in allowed:
            raise ValueError(f"{name} must be {allowed}, got {value}")
        _check(name, inner[0], value)
    elif origin in (Union, UnionType) and value is not None:
        # The only unions of options are a type or None.
        for kind in inner:
            if kind is not NoneType:
                _check(name, kind, value)
    elif origin is tuple:
        for kind, item in zip(inner[:1] * len(value) if inner[-1] is ... else inner, value, strict=False):
            _check(name, kind, item)
    elif origin is Literal and value not in inner:
        raise ValueError(f"unknown {name} {value!r}: {nearest_name(str(value), map(str, inner))}")
