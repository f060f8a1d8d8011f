"""What there is: methods, encoders, data sets, recipes and comparisons, by the data that they are for.

Nothing here imports torch: a list must not wait for it.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from unconfound.comparison.rows import list_comparisons
from unconfound.options.data_sets import NAMED_OF, PATHS_OF, PUBLIC_SETS
from unconfound.options.methods import ALIASES, METHODS_OF
from unconfound.recipes import Recipe, list_recipes, read_by_name
from unconfound.suggestions import nearest_name

ANY = "any data"
MODALITIES = ("images", "tables", "graphs", "sequences")
ENCODERS_OF = {
    "images": {
        "convnet": "four convolutions, for small images and machines",
        "resnet18, resnet34, resnet50": "torchvision's, with a stem that fits the image size",
        "any timm model": "by its name, from random or published weights",
    },
    "tables": {"mlp": "fully connected layers"},
    "graphs": {"gin": "sums over neighbours"},
    "sequences": {"transformer, gru": "for texts and series"},
}
TITLES = {
    "methods": "Methods (unconfound fit METHOD)",
    "encoders": "Encoders (--encoder)",
    "data": "Data (--data; files of public sets under --data-root; below, licence and source)",
    "recipes": "Recipes (unconfound fit --recipe NAME)",
    "comparisons": "Comparisons (unconfound compare NAME)",
}
Entries = Mapping[str, Mapping[str, str]]


def listing(words: Iterable[str] = ()) -> str:
    """Return the list, one line per entry.

    Args:
        words: which part of it: kinds (methods, encoders, data, recipes, comparisons), what the data are (images,
            tables, graphs, sequences), or both; all of it where none are given.

    Raises:
        ValueError: another word.
    """
    asked = list(words)
    for word in asked:
        if word not in (*TITLES, *MODALITIES):
            raise ValueError(f"there is no list of {word!r}: {nearest_name(word, (*TITLES, *MODALITIES))}")
    kinds = [kind for kind in TITLES if kind in asked] or list(TITLES)
    # What fits any data fits those that are asked for.
    modalities = [modality for modality in MODALITIES if modality in asked] or list(MODALITIES)
    return "\n".join(_section(TITLES[kind], _entries(kind), (ANY, *modalities)) for kind in kinds)


def fitted(text: str, width: int) -> str:
    """Break the lines of a list that are wider than a terminal between words, under where their descriptions begin."""
    return "\n".join(
        "\n".join(
            textwrap.wrap(line, width, subsequent_indent=" " * 32, break_long_words=False, break_on_hyphens=False)
        )
        for line in text.split("\n")
    )


def summary(method: str) -> str:
    """Return the first line of what a method's class says of itself, read from its file, which imports torch."""
    name = method.replace("-", "_").replace("+", "_")
    methods = files("unconfound") / "methods"
    # A large method has a folder of its name.
    home = methods / name if (methods / name).is_dir() else methods
    text = (home / f"{name}.py").read_text(encoding="utf-8")
    kinds = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    # Every method is final, and other classes in its file are not.
    kind = next(kind for kind in kinds if "final" in map(ast.unparse, kind.decorator_list))
    return (ast.get_docstring(kind) or "").partition("\n")[0]


def _entries(kind: str) -> Entries:
    if kind == "methods":
        return {of: _methods(methods) for of, methods in METHODS_OF.items()}
    if kind == "encoders":
        return ENCODERS_OF
    if kind == "data":
        return {modality: _named(modality) | PATHS_OF[modality] for modality in MODALITIES}
    known = list_recipes() if kind == "recipes" else list_comparisons()
    modality = {name: _modality(read_by_name(name, known, kind="recipe")) for name in known}
    return {
        wanted: {name: about for name, about in known.items() if modality[name] == wanted}
        for wanted in (ANY, *MODALITIES)
    }


def _named(modality: str) -> dict[str, str]:
    """Return what each set is; of public ones the licence and the source in a second line."""
    sets = dict(NAMED_OF[modality])
    for name in sets.keys() & PUBLIC_SETS.keys():
        sets[name] += f"\n{'':32}licence: {PUBLIC_SETS[name].licence}; {PUBLIC_SETS[name].source}"
    return sets


def _methods(names: Iterable[str]) -> dict[str, str]:
    """Return each method with its summary, and under it its other names with what they stand for."""
    entries = {}
    for name in names:
        entries[name] = summary(name)
        for alias, (method, preset) in ALIASES.items():
            if method == name:
                entries[alias] = f"{name} with {' '.join(Recipe(alias, name, {'options': preset}).flags())}"
    return entries


def _modality(recipe: Mapping[str, Any]) -> str:
    """Tell what the data of a recipe or comparison are by their name, else by the methods that it names."""
    name = recipe.get("data", {}).get("data")
    rows = recipe.get("rows", {}).values()
    methods = [recipe.get("method"), *(row.get("method", row.get("recipe", "").partition("/")[0]) for row in rows)]
    fitting = [modality for modality in MODALITIES if name in NAMED_OF[modality]]
    fitting += [modality for modality, known in METHODS_OF.items() if modality != ANY and known.keys() & {*methods}]
    return fitting[0] if fitting else ANY


def _section(title: str, entries: Entries, modalities: Iterable[str]) -> str:
    lines = [title]
    for modality in modalities:
        if entries.get(modality):
            lines.append(f" {modality}")
            lines += [f"  {name:<28}  {about}" for name, about in entries[modality].items()]
    return "\n".join(lines)
