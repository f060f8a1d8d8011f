"""Parse the arguments of `unconfound fit`, with the defaults of a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from unconfound.listing import summary
from unconfound.options.data import DataOptions
from unconfound.options.encoders import SIZES, EncoderOptions
from unconfound.options.fit import FitArguments
from unconfound.options.methods import ALIASES, OPTIONS, TESTED_ON_UNSEEN_CLASSES
from unconfound.options.training import TrainingOptions
from unconfound.parsing import parse
from unconfound.recipes import Recipe, check_keys, read_recipe
from unconfound.suggestions import nearest_name


def parse_fit(arguments: list[str], *, method: str | None, recipe: Recipe | None) -> tuple[str, FitArguments[Any]]:
    """Parse what follows `unconfound fit`, with a recipe's values as defaults.

    Raises:
        ValueError: no method, an unknown one, one that the recipe is not for, or an unknown key or flag.
    """
    if recipe is not None and method not in (None, recipe.method):
        raise ValueError(f"recipe {recipe.name} is for {recipe.method}, not for {method}: leave the method out")
    method = method or (recipe.method if recipe else None)
    if method is None:
        raise ValueError(f"fit needs a method ({', '.join(OPTIONS)}) or a --recipe: unconfound fit simclr --data demo")
    if method in ALIASES:
        alias, (method, preset) = method, ALIASES[method]
        sections = {} if recipe is None else recipe.sections
        # What a recipe says of an option counts more than what its method's name implies.
        recipe = Recipe(alias, method, sections | {"options": preset | sections.get("options", {})})
    if method not in OPTIONS:
        whose = f" (recipe {recipe.name})" if recipe else ""
        raise ValueError(f"unknown method {method!r}: {nearest_name(method, [*OPTIONS, *ALIASES])}{whose}")
    if recipe is not None:
        recipe = _for_encoder(recipe, arguments)
    if method in TESTED_ON_UNSEEN_CLASSES:
        recipe = (recipe or Recipe(method, method, {})).with_default("data", "unseen_classes", True)
    options = OPTIONS[method]
    run = _started_from(recipe, arguments, out=Path(_value("--out", arguments) or Path("runs", method)))
    if run is not None:
        recipe = _with_data(recipe or Recipe(method, method, {}), run, arguments)
    if recipe is not None:
        for section, kind in (
            ("data", DataOptions),
            ("encoder", EncoderOptions),
            ("training", TrainingOptions),
            ("options", options),
        ):
            check_keys(recipe, section, kind)
    parsed: FitArguments[Any] = parse(
        FitArguments[options],  # type: ignore[valid-type]
        arguments,
        command=f"fit {method}",
        recipe=recipe,
        about=f"Train an encoder with {method}; --recipe NAME gives other defaults.\n\n{summary(method)}",
    )
    if run is not None:
        _check_split(parsed.data, run)
    return method, parsed


def _started_from(recipe: Recipe | None, arguments: list[str], *, out: Path) -> Recipe | None:
    """Return the configuration of the run that --from names; None where it names something else.

    A run that goes on has its own, and needs the one that it began with no more.
    """
    named = "" if recipe is None else str(recipe.sections.get("encoder", {}).get("start", ""))
    for flag in ("--from", "--start"):
        named = _value(flag, arguments) or named
    if named and "--resume" in arguments and (out / "config.toml").is_file():
        return read_recipe(str(out / "config.toml"))
    folder = Path(named).parent if named.endswith("/encoder.safetensors") else Path(named)
    file = folder / "config.toml"
    return read_recipe(str(file)) if named and (folder / "encoder.json").is_file() and file.is_file() else None


def _with_data(recipe: Recipe, run: Recipe, arguments: list[str]) -> Recipe:
    """Let the data be those of the run to start from, where nobody says which.

    Raises:
        ValueError: the run does not say it either.
    """
    stated = recipe.sections.get("data", {})
    if _value("--data", arguments) is not None or "data" in stated:
        return recipe
    if "data" not in run.sections:
        raise ValueError(
            f"{run.name} does not say which data the run was trained on, as these were handed over in Python: give "
            "--data"
        )
    return replace(recipe, sections=recipe.sections | {"data": run.sections["data"] | stated})


def _check_split(data: DataOptions, run: Recipe) -> None:
    """Refuse to test on samples that the encoder to start from was trained on.

    Raises:
        ValueError: the data are that run's, but divided otherwise.
    """
    trained = run.sections.get("data", {})
    for key in ("test_share", "data_seed", "held_out", "unseen_classes"):
        asked, used = getattr(data, key), trained.get(key, getattr(DataOptions, key))
        if data.data == trained.get("data") and asked != used:
            flag = key.replace("_", "-")
            raise ValueError(
                f"--{flag} {asked} is another split than that of the run to start from ({used}), which was trained on "
                f"samples that would be tested on: leave --{flag} out"
            )


def _value(flag: str, arguments: list[str]) -> str | None:
    """Return the last value of a flag; None where it is not given."""
    found = None
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == flag:
            found = value if equals else next(iter(arguments[place + 1 : place + 2]), "")
    return found


def _for_encoder(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Leave out the sizes of the recipe's encoder where the arguments name another one."""
    named = _value("--encoder", arguments)
    other = named is not None and named != recipe.sections.get("encoder", {}).get("encoder")
    return recipe.without("encoder", SIZES) if other else recipe
