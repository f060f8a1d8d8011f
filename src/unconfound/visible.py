"""Text from data, such as that a terminal shows it and does nothing else."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Return text whose control characters, but for line ends, are written as escapes: a terminal would obey them."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
