"""Parse the arguments of a command and report a mistake in one line."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import is_dataclass, replace
from typing import Annotated, Any

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from unconfound.options.constraints import range_of
from unconfound.recipes import SECTIONS, Recipe
from unconfound.suggestions import nearest_known

# What tyro says -> how we say it.
PLAINER = {
    r"^Error parsing (--[\w-]+): invalid literal for int\(\) with base 10: ": r"\1 takes a whole number, got ",
    r"^Error parsing (--[\w-]+): could not convert string to float: ": r"\1 takes a number, got ",
    r"^Error parsing (--[\w-]+): no type matching (?:\{None\}\|)?\{?(.+?)\}? could be instantiated from \[(.*?)\].*": (
        r"\1 takes \2, got \3"
    ),
    r"^Error parsing \w+: ": "",  # the name of a group of options
}


def parse(
    kind: Any,
    arguments: Sequence[str],
    *,
    command: str,
    recipe: Recipe | None = None,
    sections: Sequence[str] = SECTIONS,
    unknown: bool = False,
    about: str | None = None,
) -> Any:
    """Turn command-line arguments into a dataclass; flags come after a recipe's and so override them.

    Args:
        kind: the dataclass; nested ones give flags without a prefix.
        arguments: what the user typed after the command.
        command: the command's name, for the usage text.
        recipe: the recipe whose sections give defaults.
        sections: the sections of the recipe that `kind` has options for.
        unknown: return a pair of the dataclass and the flags that it does not know, instead of refusing them.
        about: first lines of the usage text; by default the docstring of `kind`.

    Raises:
        ValueError: in one line, what is wrong with which flag, and whether the recipe says so.
    """
    defaults = recipe.flags(sections) if recipe else []

    def parsed(words: Sequence[str]) -> Any:
        return tyro.cli(  # type: ignore[call-overload]
            tyro.conf.configure(tyro.conf.OmitArgPrefixes)(kind),
            args=words,
            prog=f"unconfound {command}",
            return_unknown_args=unknown,
            description=about,
            registry=_registry(),
        )

    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return parsed([*defaults, *arguments])
    except SystemExit as leaving:
        if leaving.code == 0:
            raise
    told = _unknown_flags(kind, arguments)
    if not told:
        told = _one_line(complaint.getvalue())
        # Where the user's own words are fine, it is the recipe that is not.
        with suppress(SystemExit), redirect_stderr(io.StringIO()):
            parsed(arguments)
            told = f"recipe {recipe.name}: {told}" if recipe else told
    raise ValueError(f"{told} (unconfound {command} --help)")


def _registry() -> ConstructorRegistry:
    """Make tyro show the range of every option beside its default."""
    registry, seen = ConstructorRegistry(), object()

    @registry.struct_rule
    def with_ranges(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not is_dataclass(info.type) or seen in info.markers:
            return None
        # What tyro itself makes of the dataclass, as this rule passes over it the second time.
        spec = ConstructorRegistry.get_struct_spec(replace(info, markers=(*info.markers, seen)))
        if not isinstance(spec, StructConstructorSpec):
            return None
        return replace(spec, fields=tuple(map(_with_range, spec.fields)))

    return registry


def _with_range(field: StructFieldSpec) -> StructFieldSpec:
    """Join the lines of a field's text, which tyro wraps to the terminal, and add the field's range to its default."""
    allowed = range_of(field.type)

    def text() -> str | None:
        # Called for usage texts only, as reading the source takes time.
        words = field.helptext() if callable(field.helptext) else field.helptext
        return words and " ".join(words.split())

    def shown(default: str) -> str:
        # Where the default is None or nothing, the text says what that means.
        told = ([f"default: {default}"] if default not in ("None", "") else []) + ([str(allowed)] if allowed else [])
        return f"({'; '.join(told)})" if told else ""

    if allowed is None and field.default not in (None, ()):
        return replace(field, helptext=text)
    hint: Any = tyro.conf.arg(help_behavior_hint=shown)
    return replace(field, helptext=text, type=Annotated[field.type, hint])  # type: ignore[arg-type]


def _unknown_flags(kind: Any, arguments: Sequence[str]) -> str:
    """Say of each flag that there is none of that name, and which one may be meant; nothing where all are known."""
    usage = io.StringIO()
    with redirect_stdout(usage), suppress(SystemExit):
        tyro.cli(tyro.conf.configure(tyro.conf.OmitArgPrefixes)(kind), args=["--help"])
    known = re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage.getvalue())
    unknown = []
    for word in arguments:
        flag = word.partition("=")[0]
        if re.fullmatch(r"--?[A-Za-z][\w-]*", flag) and flag.replace("_", "-") not in known:
            near = nearest_known(flag, known)
            unknown.append(f"{flag}: did you mean {near}?" if near else f"{flag}: there is no such flag")
    return "; ".join(unknown)


def _one_line(boxed: str) -> str:
    """Take the words out of tyro's boxed message, up to its pointer to the help text."""
    lines = [line.strip("│╭╮╰╯─ ") for line in boxed.splitlines()[1:]]
    words = " ".join(" ".join(line for line in lines if line).split())
    words = words.partition(" For full helptext")[0].partition(" Argument helptext")[0]
    for pattern, plainer in PLAINER.items():
        words = re.sub(pattern, plainer, words)
    return words
