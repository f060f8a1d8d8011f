"""Every option refuses what its type does not allow, shows it in the usage text, and is explained by a sentence."""

from __future__ import annotations

import ast
import inspect
import math
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import unconfound.commands
import unconfound.options
from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    PositiveInt,
    Range,
    Share,
    above,
    at_least,
    range_of,
    within,
)
from unconfound.options.fit import FitArguments
from unconfound.parsing import parse

MODULES = [
    *(found.name for found in pkgutil.walk_packages(unconfound.options.__path__, "unconfound.options.")),
    *(found.name for found in pkgutil.walk_packages(unconfound.commands.__path__, "unconfound.commands.")),
]
KINDS = sorted(
    {
        kind
        for module in map(import_module, MODULES)
        for kind in vars(module).values()
        if is_dataclass(kind) and isinstance(kind, type) and kind.__name__.endswith(("Options", "Arguments"))
    },
    key=lambda kind: kind.__name__,
)
# What is no option by itself: the parts of `fit`, which are checked when they are made.
CHECKED = [kind for kind in KINDS if kind is not FitArguments]
# Fields of any sign, and numbers that are checked together.
UNBOUNDED = {"margin", "crop_scale", "crop_ratio", "jitter"}
# Other options without which a value that is allowed by itself makes no sense.
BESIDE: dict[str, dict[str, Any]] = {"fold": {"unseen_classes": True}, "solver": {"normalization": "samples"}}


def _bare(hint: Any) -> Any:
    """The type of a field without None, tuple and Annotated."""
    if get_origin(hint) is tuple:
        return _bare(get_args(hint)[0])
    if NoneType in get_args(hint):
        return _bare(next(each for each in get_args(hint) if each is not NoneType))
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _where(wanted: Any) -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}-{name}")
        for kind in CHECKED
        for name, hint in _hints(kind).items()
        if wanted(hint)
    ]


def _make(kind: type, name: str, value: Any) -> Any:
    """A dataclass with one value in place; those without a default get anything."""
    if "tuple[" in str(_hints(kind)[name]):
        value = (value,) * (1 if isinstance(value, str) else 4)
    required = {
        field.name: (Path("x"),) if field.name == "runs" else ("x",) if field.name == "queries" else Path("x")
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    return kind(**required | BESIDE.get(name, {}) | {name: value})


def _edges(allowed: str, whole: bool) -> Iterator[tuple[float, bool]]:
    """Values at and beside the bounds that a range states, each with whether it is allowed."""
    step = 1 if whole else 1e-9
    if stated := re.fullmatch(r"(at least|above) (\S+)", allowed):
        low, closed = float(stated[2]), stated[1] == "at least"
    else:
        stated = re.fullmatch(r"in ([\[(])(\S+), (\S+)([\])])", allowed)
        assert stated is not None, allowed
        low, closed, high = float(stated[2]), stated[1] == "[", float(stated[3])
        yield from ((high, stated[4] == "]"), (high + step, False), (math.inf, False))
    yield from ((low, closed), (low - step, False), (-math.inf, False), (math.nan, False))


def test_all_options_and_arguments_are_found_and_checked() -> None:
    assert len(KINDS) > 40
    assert all(issubclass(kind, Checked) for kind in CHECKED)


@pytest.mark.parametrize(("kind", "name"), _where(lambda hint: _bare(hint) in (int, float)))
def test_every_number_has_a_range(kind: type, name: str) -> None:
    assert range_of(_hints(kind)[name]) or name in UNBOUNDED


@pytest.mark.parametrize(("kind", "name"), _where(range_of))
def test_numbers_out_of_range_are_refused(kind: type, name: str) -> None:
    hint = _hints(kind)[name]
    allowed, whole = str(range_of(hint)), _bare(hint) is int
    for value, accepted in _edges(allowed, whole):
        number = int(value) if whole and math.isfinite(value) else value
        if accepted:
            _make(kind, name, number)
            continue
        with pytest.raises(ValueError, match=name) as refused:
            _make(kind, name, number)
        assert str(refused.value) == f"{name} must be {allowed}, got {number}"


@pytest.mark.parametrize(("kind", "name"), _where(lambda hint: get_origin(_bare(hint)) is Literal))
def test_unknown_choices_are_refused(kind: type, name: str) -> None:
    choices = get_args(_bare(_hints(kind)[name]))
    for choice in choices:
        _make(kind, name, choice)
    with pytest.raises(ValueError, match=f"^unknown {name} 99: use one of") as refused:
        _make(kind, name, 99)
    assert str(refused.value).endswith(", ".join(map(str, choices)))
    if isinstance(choices[0], str):
        with pytest.raises(ValueError, match=rf"^unknown {name} '\S+x': did you mean '\S+'\?$"):
            _make(kind, name, f"{choices[0]}x")


@pytest.mark.parametrize("kind", CHECKED, ids=lambda kind: kind.__name__)
def test_the_usage_text_shows_ranges_and_defaults(kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(kind, ["--help"], command="fit")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, hint in _hints(kind).items():
        allowed = range_of(hint)
        if allowed is not None:
            flag = name.replace("_", "-")
            assert re.search(
                rf"--{flag} (?:(?!\(default: ).)*\((?:default: [^;()]*; )?{re.escape(str(allowed))}\)", shown
            ), name


def _texts(kind: type) -> dict[str, str]:
    """The text below each field of a class, or that of its parent's field."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        if not is_dataclass(each):
            continue
        body = ast.parse(inspect.getsource(each)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found.setdefault(ast.unparse(field.target), " ".join(str(text.value.value).split()))
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_option_is_explained_by_a_sentence(kind: type) -> None:
    texts = _texts(kind)
    for field in fields(kind):
        if not is_dataclass(field.default_factory):
            assert re.fullmatch(r"[A-Z].{10,}[.]", texts[field.name]), f"{field.name}: {texts[field.name]}"


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (at_least(1), "at least 1", (1, 2, math.inf), (0, -math.inf)),
        (above(0), "above 0", (1e-9, math.inf), (0, -1)),
        (within(0, 1), "in [0, 1]", (0, 0.5, 1), (-0.1, 1.1)),
        (within(0, 1, closed="left"), "in [0, 1)", (0, 0.9), (1, -0.1)),
        (within(0, 1, closed="neither"), "in (0, 1)", (0.1, 0.9), (0, 1)),
    ],
)
def test_a_range_holds_what_it_says(
    allowed: Range, text: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert str(allowed) == text
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in (*outside, math.nan))


@dataclass(frozen=True, kw_only=True)
class _Parent(Checked):
    count: PositiveInt | None = None
    shares: tuple[Share, ...] = ()
    pair: tuple[NonNegativeFloat, Literal["a", "b"]] = (0.0, "a")


@dataclass(frozen=True, kw_only=True)
class _Child(_Parent):
    other: PositiveInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count == self.other:
            raise ValueError("count must differ from other")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"shares": (0.5, 2.0)}, r"shares must be in \[0, 1\], got 2.0"),
        ({"pair": (-1.0, "a")}, "pair must be at least 0, got -1.0"),
        ({"pair": (0.0, "q")}, "unknown pair 'q': use one of a, b$"),
        ({"other": 0}, "other must be at least 1, got 0"),
        ({"count": 1}, "differ"),
    ],
)
def test_optional_values_tuples_and_inherited_fields_are_checked(wrong: dict[str, Any], message: str) -> None:
    assert _Child().count is None
    with pytest.raises(ValueError, match=message):
        _Child(**wrong)
