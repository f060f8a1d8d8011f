"""The settings that a comparison is run in: values of data options, as three correlations or four held-out domains."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from unconfound.data.load import DataOptions
from unconfound.parsing import parse
from unconfound.recipes import Recipe
from unconfound.suggestions import nearest_name
from unconfound.training.fitting import plain

# What a folder's name had better not hold.
UNSAFE = re.compile(r"[^\w+\-.,= ]+")


@dataclass(frozen=True)
class Setting:
    """Data options that hold for all rows.

    Args:
        name: of tables and of the folder, as in "correlation 0.9"; empty where there are no settings.
        values: by the names of the options.
    """

    name: str
    values: dict[str, Any]


def settings_of(over: Mapping[str, Sequence[Any]], base: DataOptions | None = None) -> list[Setting]:
    """Make every combination of values; one setting without a name where there are none.

    Args:
        over: data option -> values, as TOML has them or in words, which are read as the option's flag would be.
        base: what rows say of the data beside that: whether a value is allowed may depend on it.

    Raises:
        ValueError: an option is unknown or has no values, a value is not allowed, or two settings have the same name.
    """
    if not over:
        return [Setting("", {})]
    defaults = {field.name: field.default for field in fields(DataOptions)}
    for key, values in over.items():
        if key not in defaults:
            raise ValueError(f"unknown data option {key!r} in [over]: {nearest_name(key, defaults)}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(f'[over] needs a list of values for {key}, as in {key} = ["a", "b"], got {values!r}')
    settings = []
    for combination in product(*over.values()):
        asked = {
            key: _switched(value) if isinstance(defaults[key], bool) else value
            for key, value in zip(over, combination, strict=True)
        }
        recipe = Recipe("[over]", "", {"data": plain(base) | asked})
        parsed = parse(DataOptions, [], command="compare", recipe=recipe, sections=("data",))
        read = {key: getattr(parsed, key) for key in over}
        settings.append(Setting(options_in_words(read), read))
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two settings are called {name!r}: give each value once")
    return settings


def over_words(words: Sequence[str]) -> dict[str, list[str]]:
    """Read what follows --over: KEY=VALUE,VALUE,... for each option.

    Raises:
        ValueError: a word has no equals sign, or an option comes twice.
    """
    over: dict[str, list[str]] = {}
    for word in words:
        key, equals, values = word.partition("=")
        key = key.replace("-", "_")
        if not equals or not all(values.split(",")):
            raise ValueError(f"--over takes KEY=VALUE,VALUE as in correlation=0.9,0.95, got {word!r}")
        if key in over:
            raise ValueError(f"--over has {key} twice: give all of its values at once")
        over[key] = values.split(",")
    return over


def options_in_words(values: Mapping[str, Any]) -> str:
    """Name options and their values for tables and a folder: "correlation 0.9, held out photo"."""
    return ", ".join(
        f"{key.replace('_', ' ')} {UNSAFE.sub('-', value_in_words(value))}" for key, value in values.items()
    )


def value_in_words(value: Any) -> str:
    """A value in words, as a TOML file would have it without its quotation marks."""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(value_in_words, value)) if isinstance(value, list | tuple) else str(value)


def refuse_flags(keys: Sequence[str], flags: Sequence[str], *, what: str) -> None:
    """Refuse flags that would make settings or candidates all the same.

    Raises:
        ValueError: one of `flags` is the flag of one of `keys`.
    """
    given = {word.partition("=")[0].replace("_", "-") for word in flags if word.startswith("--")}
    for key in keys:
        flag = key.replace("_", "-")
        if given & {f"--{flag}", f"--no-{flag}"}:
            raise ValueError(f"--{flag} is what {what} differ in: leave the flag out")


def _switched(value: Any) -> Any:
    """Turn a word into what it switches; a flag without a value is none that `parse` could refuse."""
    switches = {"true": True, "false": False}
    if not isinstance(value, bool) and str(value).lower() not in switches:
        raise ValueError(f"an option that is on or off takes true or false, got {value!r}")
    return switches[str(value).lower()]
