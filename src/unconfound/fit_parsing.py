"""Parse the arguments of `unconfound fit`, with the defaults of a recipe."""

from __future__ import annotations

from typing import Any

from unconfound.listing import summary
from unconfound.options.data import DataOptions
from unconfound.options.encoders import SIZES, EncoderOptions
from unconfound.options.fit import FitArguments
from unconfound.options.methods import ALIASES, OPTIONS, TESTED_ON_UNSEEN_CLASSES
from unconfound.options.training import TrainingOptions
from unconfound.parsing import parse
from unconfound.recipes import Recipe, check_keys
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
    return method, parsed


def _for_encoder(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Leave out the sizes of the recipe's encoder where the arguments name another one."""
    words, own = iter(arguments), recipe.sections.get("encoder", {}).get("encoder")
    for word in words:
        flag, equals, value = word.partition("=")
        if flag == "--encoder" and (value if equals else next(words, "")) != own:
            return recipe.without("encoder", SIZES)
    return recipe
