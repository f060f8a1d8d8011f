"""The host of ICL-MSR, made by its name and by options given as words."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.methods.parts.two_views import TwoViewMethod
from unconfound.suggestions import nearest_name


def host_named(name: str, options: Sequence[str], encoder: Encoder, schema: Schema) -> TwoViewMethod[Any]:
    """Make a host by its name.

    Args:
        name: of a method that compares two views.
        options: of that method, each as NAME=VALUE.
        encoder, schema: as for every method.

    Raises:
        ValueError: an unknown host or option, a word that is no NAME=VALUE, or a value out of its range.
    """
    # The list of methods holds those that have hosts.
    from unconfound.methods import METHODS

    hosts = {known: kind for known, kind in METHODS.items() if issubclass(kind, TwoViewMethod)}
    if name not in hosts:
        raise ValueError(f"unknown host {name!r}: {nearest_name(name, hosts)}")
    kind = hosts[name]
    known = [field.name for field in fields(kind.Options)]
    given: dict[str, Any] = {}
    for word in options:
        option, equals, value = word.partition("=")
        option = option.strip().replace("-", "_")
        if not equals:
            raise ValueError(f"--host-options takes NAME=VALUE, got {word!r}")
        if option not in known:
            raise ValueError(f"unknown option {option!r} of {name}: {nearest_name(option, known)}")
        try:
            given[option] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            given[option] = value.strip()
    return kind(encoder, schema, kind.Options(**given))
