from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from unconfound.records import record


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...]
    pair: tuple[int, str] = (1, "a")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    depth: int | None = None
    path: Path | None = None
    flag: bool = False
    many: Mapping[str, tuple[Inner, ...]] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    either: int | str = 0


WHOLE = {
    "name": "x",
    "inner": {"sizes": [1, 2]},
    "share": 1,
    "kind": "b",
    "depth": 3,
    "path": "a/b",
    "flag": True,
    "many": {"m": [{"sizes": [], "pair": [2, "b"]}]},
    "rest": {"anything": [None]},
    "either": "text",
}


def test_values_become_what_the_fields_say() -> None:
    made = record(Outer, WHOLE)
    assert made == Outer(
        "x", Inner((1, 2)), 1, "b", 3, Path("a/b"), True, {"m": (Inner((), (2, "b")),)}, {"anything": [None]}, "text"
    )
    assert record(Outer, {"name": "x", "inner": {"sizes": []}}) == Outer("x", Inner(()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 3}, "name must be a text, got 3"),
        ({"inner": []}, r"inner must be a section of names and values, got \[\]"),
        ({"inner": {}}, r"inner\.sizes is missing"),
        ({"inner": {"sizes": [1, 2.0]}}, r"inner\.sizes\[1\] must be a whole number, got 2\.0"),
        ({"inner": {"sizes": "12"}}, r"inner\.sizes must be a list, of which each is a whole number, got '12'"),
        ({"inner": {"sizes": [], "pair": [1]}}, r"inner\.pair must be a list of 2, got \[1\]"),
        ({"inner": {"sizes": [True]}}, r"inner\.sizes\[0\] must be a whole number, got True"),
        ({"share": "0.5"}, "share must be a number, got '0.5'"),
        ({"share": False}, "share must be a number, got False"),
        ({"kind": "c"}, "kind must be 'a' or 'b', got 'c'"),
        ({"depth": "3"}, "depth must be a whole number, got '3'"),
        ({"flag": 1}, "flag must be true or false, got 1"),
        ({"many": {"m": [{"sizes": None}]}}, r"many\.m\[0\]\.sizes must be a list"),
        ({"either": None}, "either must be a whole number or a text, got None"),
        ({"other": 1}, "other is unknown"),
        ({"name": ["\n" * 500]}, "name must be a text, got"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}") as told:
        record(Outer, WHOLE | change)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("values", [None, [], "text", 3])
def test_what_is_no_section_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match="it must be a section of names and values"):
        record(Outer, values)
