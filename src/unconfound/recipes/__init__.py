"""Published settings as TOML files, and the same format for the config.toml of a run.

    method = "simclr"

    [data]
    data = "cifar10"

    [encoder]
    encoder = "resnet18"

    [training]
    epochs = 1000

    [options]
    temperature = 0.5

Keys are those of the dataclasses that the command line shows as flags, with underscores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from unconfound.documents import read_toml
from unconfound.records import typed
from unconfound.suggestions import nearest_name

SECTIONS = ("data", "encoder", "training", "options")
COMPARISONS = "compare/"  # files of several rows: see `comparisons`


@dataclass(frozen=True)
class Recipe:
    """A method and the values that differ from its defaults.

    Args:
        name: of the recipe, or the path of the file.
        method: the method's name.
        sections: section -> key -> value.
    """

    name: str
    method: str
    sections: dict[str, dict[str, Any]]

    def flags(self, sections: Sequence[str] = SECTIONS) -> list[str]:
        """Return the values of some sections as command-line flags; a user's later flags override them."""
        return [flag for section in sections for flag in flags_of(self.sections.get(section, {}))]

    def without(self, section: str, keys: Collection[str]) -> Recipe:
        """Return the recipe without what it says of some keys."""
        kept = {key: value for key, value in self.sections.get(section, {}).items() if key not in keys}
        return replace(self, sections=self.sections | {section: kept})

    def with_default(self, section: str, key: str, value: Any) -> Recipe:
        """Return the recipe with a value where it says nothing of a key."""
        return replace(self, sections=self.sections | {section: {key: value} | self.sections.get(section, {})})


def flags_of(values: Mapping[str, Any]) -> list[str]:
    """Return values as command-line flags: `{"batch_size": 64, "augment": False}` as --batch-size 64 --no-augment.

    Lists and tuples give several words, and None gives none.
    """
    flags: list[str] = []
    for key, value in values.items():
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            flags += [f"--{flag}", *(str(item) for item in (value if isinstance(value, list | tuple) else [value]))]
    return flags


def list_recipes() -> dict[str, str]:
    """Return the name of every built-in recipe with its first comment line."""
    return {name: about for name, about in built_in().items() if not name.startswith(COMPARISONS)}


def read_recipe(name: str) -> Recipe:
    """Read a built-in recipe by name, or a TOML file by path (a run's config.toml, say).

    Raises:
        FileNotFoundError: neither a recipe nor a file.
        ValueError: the file is not TOML, names no method, or has an unknown section.
    """
    content = read_by_name(name, list_recipes(), kind="recipe")
    method = content.pop("method", None)
    if not isinstance(method, str):
        raise ValueError(f'recipe {name} names no method: add a first line such as method = "simclr"')
    for section, values in content.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise ValueError(f"recipe {name} has an unknown section {section!r}: {nearest_name(section, SECTIONS)}")
    return Recipe(name, method, content)


def built_in() -> dict[str, str]:
    """Return the name of every TOML file here with its first comment line."""
    root = files("unconfound.recipes")
    found = {}
    for folder in sorted(root.iterdir(), key=lambda entry: entry.name):
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
                if file.name.endswith(".toml"):
                    first = file.read_text(encoding="utf-8").partition("\n")[0]
                    found[f"{folder.name}/{file.name.removesuffix('.toml')}"] = first.lstrip("# ")
    return found


def read_by_name(name: str, known: Collection[str], *, kind: str) -> dict[str, Any]:
    """Read a built-in file by its name, if it is one of `known`, or any file by its path.

    Raises:
        FileNotFoundError: neither is there.
        ValueError: the file is not TOML.
    """
    if name in known:
        return read_toml(files("unconfound.recipes") / f"{name}.toml", kind=kind)
    if Path(name).is_file():
        return read_toml(Path(name), kind=kind)
    raise FileNotFoundError(f"no {kind} and no file {name!r}: {nearest_name(name, known)}")


def check_keys(recipe: Recipe, section: str, kind: type[Any]) -> None:
    """Refuse keys of a section that its dataclass does not have, and values of another type than it says.

    Raises:
        ValueError: names the key, and the nearest known one or what is allowed.
    """
    known = [field.name for field in fields(kind)]
    hints = get_type_hints(kind)
    for key, value in recipe.sections.get(section, {}).items():
        if key not in known:
            raise ValueError(f"recipe {recipe.name}: unknown key {key!r} in [{section}]: {nearest_name(key, known)}")
        try:
            typed(hints[key], value, where=f"{key} in [{section}]")
        except ValueError as error:
            raise ValueError(f"recipe {recipe.name}: {error}") from error
