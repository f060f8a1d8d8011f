"""Candidates of a row: values of its options among which a comparison chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from unconfound.comparison.settings import options_in_words, refuse_flags
from unconfound.fit_parsing import parse_fit
from unconfound.methods import METHODS
from unconfound.options.fit import FitArguments
from unconfound.options.training import TrainingOptions
from unconfound.recipes import Recipe
from unconfound.suggestions import nearest_name


@dataclass(frozen=True)
class Candidate:
    """One way to train a row.

    Args:
        name: as in "weight 0.1"; empty where the row has no candidates.
        arguments: what it is trained with, but for the folder and the seed.
    """

    name: str
    arguments: FitArguments[Any]


def candidates_of(
    recipe: Recipe, candidates: Sequence[Mapping[str, Any]], flags: Sequence[str]
) -> tuple[str, FitArguments[Any], list[Candidate]]:
    """Read a row and its candidates.

    Args:
        recipe: of the row.
        candidates: option of the method or of the training -> value, which counts more than the row's.
        flags: of `unconfound fit`, for every row.

    Returns:
        The name of the method, the row without its candidates, and these: one without a name where there are none.

    Raises:
        ValueError: an unknown method or key, a value that is not allowed, or a flag that says what candidates say.
    """
    method, base = parse_fit(list(flags), method=None, recipe=recipe)
    if not candidates:
        return method, base, [Candidate("", base)]
    options = [field.name for field in fields(METHODS[method].Options)]
    training = [field.name for field in fields(TrainingOptions) if field.name != "seed"]
    made: list[Candidate] = []
    for values in candidates:
        if not values:
            raise ValueError("a candidate says nothing: give its options, as in {epochs = 20}")
        for key in values:
            if key not in options and key not in training:
                raise ValueError(f"unknown key {key!r} of a candidate: {nearest_name(key, [*options, *training])}")
        refuse_flags(list(values), flags, what="candidates")
        of_method = {key: value for key, value in values.items() if key in options}
        of_training = {key: value for key, value in values.items() if key not in options}
        sections = recipe.sections | {
            "options": recipe.sections.get("options", {}) | of_method,
            "training": recipe.sections.get("training", {}) | of_training,
        }
        _, arguments = parse_fit(list(flags), method=None, recipe=Recipe(recipe.name, recipe.method, sections))
        name = options_in_words(values)
        if name in [each.name for each in made]:
            raise ValueError(f"two candidates are called {name!r}: leave one out")
        made.append(Candidate(name, arguments))
    return method, base, made
