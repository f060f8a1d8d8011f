"""Pages from the templates in `templates/`."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Autoescape: names of files, classes and encoders come from anywhere.
_ENVIRONMENT = Environment(
    loader=PackageLoader("unconfound.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **values: Any) -> Markup:
    """Fill a template in; names in it that have no value are an error."""
    return Markup(_ENVIRONMENT.get_template(f"{name}.jinja").render(**values))
