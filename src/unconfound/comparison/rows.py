"""Which recipes are compared: named one by one, or as the rows of a TOML file.

    baseline = "random"
    seeds = [0, 1, 2]
    metrics = ["linear_probe"]

    [data]
    data = "demo"

    [rows.random]
    method = "random"

    [rows.cold]
    recipe = "simclr/demo"
    options = {temperature = 0.1}

A row is a method or a recipe and what differs from it, section by section. The sections [data], [encoder] and
[training] outside of rows hold for all of them: they count more than a row's recipe, and less than what the row itself
says. All rows are run in each of several settings of the data where there is a section

    [over]
    correlation = [0.9, 0.95]

and a row is tried with several options, of which `select` says how one is chosen, where it has candidates:

    [rows.warm]
    method = "simclr"
    candidates = [{temperature = 0.5}, {temperature = 1.0}]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unconfound.recipes import COMPARISONS, SECTIONS, Recipe, built_in, list_recipes, read_by_name, read_recipe
from unconfound.records import shown
from unconfound.suggestions import nearest_name

COMMON = ("data", "encoder", "training")
# A row's name becomes the name of a folder.
ROW_NAME = re.compile(r"[\w+-][\w+\-.,= ]*")


@dataclass(frozen=True)
class Rows:
    """Recipes to compare.

    Args:
        recipes: by the names that tables use.
        seeds: of each row; empty where that is left open.
        baseline: the row that others are compared with; None where that is left open.
        metrics: those to show; empty where that is left open.
        over: data option -> values, for settings that all rows are run in.
        candidates: row -> options of each of its candidates.
        select: how one of these is chosen; None where that is left open.
        file: the name or path of the comparison; empty where it is none.
    """

    recipes: dict[str, Recipe]
    seeds: tuple[int, ...] = ()
    baseline: str | None = None
    metrics: tuple[str, ...] = ()
    over: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    candidates: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    select: str | None = None
    file: str = ""


def list_comparisons() -> dict[str, str]:
    """Return the name of every built-in comparison with its first comment line."""
    return {name: about for name, about in built_in().items() if name.startswith(COMPARISONS)}


def rows_of(asked: str | Sequence[str] | Mapping[str, str | Recipe], *, methods: Collection[str]) -> Rows:
    """Turn what a user names into rows.

    Args:
        asked: words, each a recipe, the path of a TOML file or a method; NAME=WORD gives the row another name. Or one
            word that names a whole comparison, or recipes by the names of their rows.
        methods: names of methods.

    Raises:
        FileNotFoundError: a word is none of these.
        ValueError: there are no rows, two share a name, a name fits no folder, or a file is malformed.
    """
    words = [asked] if isinstance(asked, str) else asked
    if len(words) == 1 and not isinstance(words, Mapping) and _is_comparison(words[0]):
        return read_comparison(words[0])
    if isinstance(words, Mapping):
        named = [(name, _recipe(word, methods) if isinstance(word, str) else word) for name, word in words.items()]
    else:
        named = [_named(word, methods) for word in words]
    if not named:
        raise ValueError("compare needs recipes, methods or a comparison: unconfound compare random simclr --data demo")
    recipes: dict[str, Recipe] = {}
    for name, recipe in named:
        if name in recipes:
            raise ValueError(f"two rows are called {name!r}: name one of them, as in other={recipe.name}")
        recipes[_checked(name)] = recipe
    return Rows(recipes)


def read_comparison(name: str) -> Rows:
    """Read a built-in comparison by its name, or a TOML file by its path.

    Raises:
        FileNotFoundError: neither is there.
        ValueError: the file is not TOML, has no rows, or an unknown key.
    """
    content = read_by_name(name, list_comparisons(), kind="comparison")
    try:
        return _rows(content, name)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"comparison {name}: {error}") from error


def _rows(content: dict[str, Any], name: str) -> Rows:
    rows = content.get("rows")
    if not isinstance(rows, dict) or not rows or not all(isinstance(row, dict) for row in rows.values()):
        raise ValueError("it has no rows: add a section such as [rows.simclr]")
    lists = {key: content.get(key, []) for key in ("seeds", "metrics")}
    kinds = {"seeds": int, "metrics": str}
    for key, values in lists.items():
        if not isinstance(values, list) or not all(type(value) is kinds[key] for value in values):
            raise ValueError(f"{key} must be a list of {kinds[key].__name__}, got {values!r}")
    known = ("rows", "baseline", "seeds", "metrics", "select", "over", *COMMON)
    _check_known(content, known, where="it")
    over, baseline, select = content.get("over", {}), content.get("baseline"), content.get("select")
    if not isinstance(over, dict):
        raise ValueError(f"over must be a section of data options, got {shown(over)}")
    return Rows(
        {_checked(row): _row(row, values, content, where=f"row {row}") for row, values in rows.items()},
        seeds=tuple(lists["seeds"]),
        baseline=None if baseline is None else str(baseline),
        metrics=tuple(lists["metrics"]),
        over=over,
        candidates={
            row: _candidates(values["candidates"], where=f"row {row}")
            for row, values in rows.items()
            if "candidates" in values
        },
        select=None if select is None else str(select),
        file=name,
    )


def _candidates(given: Any, *, where: str) -> tuple[dict[str, Any], ...]:
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise ValueError(
            f"{where}: candidates must be a list such as [{{epochs = 10}}, {{epochs = 20}}], got {shown(given)}"
        )
    return tuple(given)


def _row(name: str, values: dict[str, Any], common: dict[str, Any], *, where: str) -> Recipe:
    _check_known(values, ("method", "recipe", "candidates", *SECTIONS), where=where)
    if ("method" in values) == ("recipe" in values):
        raise ValueError(f"{where} needs either a method or a recipe")
    for key in ("method", "recipe"):
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"{where}: {key} must be a name, got {shown(values[key])}")
    base = read_recipe(values["recipe"]) if "recipe" in values else Recipe(name, values["method"], {})
    layers = (base.sections, {section: common.get(section, {}) for section in COMMON}, values)
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for layer in layers:
        for section in SECTIONS:
            if not isinstance(layer.get(section, {}), dict):
                raise ValueError(
                    f"{where}: {section} must be a section of keys and values, got {shown(layer[section])}"
                )
            sections[section] |= layer.get(section, {})
    return Recipe(name, base.method, {section: held for section, held in sections.items() if held})


def _named(word: str, methods: Collection[str]) -> tuple[str, Recipe]:
    """Split NAME=WORD; a word without a name is called by its method, a file by its own or its run's name."""
    name, equals, rest = word.partition("=")
    if equals and not Path(word).is_file():
        return name, _recipe(rest, methods)
    recipe = _recipe(word, methods)
    if word in list_recipes() or word in methods:
        return word.partition("/")[0], recipe
    path = Path(word)
    return (path.resolve().parent.name if path.name == "config.toml" else path.stem), recipe


def _recipe(word: str, methods: Collection[str]) -> Recipe:
    if word in methods:
        return Recipe(word, word, {})
    if _is_comparison(word):
        raise ValueError(f"{word} is a whole comparison: give it alone, or write its rows and yours into one TOML file")
    if word not in list_recipes() and not Path(word).is_file():
        known = [*methods, *list_recipes(), *list_comparisons()]
        raise FileNotFoundError(f"no method, recipe, comparison or file {word!r}: {nearest_name(word, known)}")
    return read_recipe(word)


def _is_comparison(word: str) -> bool:
    if word in list_comparisons():
        return True
    return Path(word).is_file() and "rows" in read_by_name(word, (), kind="recipe")


def _checked(name: str) -> str:
    if not ROW_NAME.fullmatch(name):
        raise ValueError(f"row {name!r} cannot name a folder: use letters, digits and + - . , = or blanks")
    return name


def _check_known(values: Mapping[str, Any], known: Sequence[str], *, where: str) -> None:
    for key in values:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}: {nearest_name(key, known)}")
