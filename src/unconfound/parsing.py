"""From the words of a command to its arguments, and a mistake in them said in one line."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from typing import Any

import tyro

from unconfound.recipes import SECTIONS, Recipe


def parse(
    kind: Any,
    arguments: Sequence[str],
    *,
    command: str,
    recipe: Recipe | None = None,
    sections: Sequence[str] = SECTIONS,
    unknown: bool = False,
) -> Any:
    """Turn command-line arguments into a dataclass; flags come after a recipe's and so override them.

    Args:
        kind: the dataclass; nested ones give flags without a prefix.
        arguments: of the user.
        command: for the help text.
        recipe: whose sections give defaults.
        sections: of the recipe that `kind` has.
        unknown: return a pair of the dataclass and the flags that it does not know, instead of refusing them.

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
        )

    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return parsed([*defaults, *arguments])
    except SystemExit as leaving:
        if leaving.code == 0:
            raise
    whose = ""
    if defaults:
        # Where the user's own words are fine, it is the recipe that is not.
        with suppress(SystemExit), redirect_stderr(io.StringIO()):
            parsed(arguments)
            whose = f"recipe {recipe.name}: "  # type: ignore[union-attr]
    raise ValueError(f"{whose}{_one_line(complaint.getvalue())} (unconfound {command} --help)")


def _one_line(boxed: str) -> str:
    """Take the words out of tyro's boxed message, up to its pointer to the help text."""
    lines = [line.strip("│╭╮╰╯─ ") for line in boxed.splitlines()[1:]]
    words = " ".join(" ".join(line for line in lines if line).split())
    return words.partition(" For full helptext")[0].partition(" Argument helptext")[0]
