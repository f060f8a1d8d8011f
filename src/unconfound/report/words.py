"""Lists and names in words."""

from __future__ import annotations

from collections.abc import Sequence


def listed(parts: Sequence[str]) -> str:
    """Join words: "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def shortened(name: str, length: int) -> str:
    """Return a name of at most `length` characters, with an ellipsis where it goes on."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
