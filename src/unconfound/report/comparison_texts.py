"""The figures of a comparison in words, the same in every table."""

from __future__ import annotations

from unconfound.comparison.record import Line


def mean_text(line: Line) -> str:
    """A mean in percent or points, with its interval where there is one."""
    return f"{100 * line.mean:.1f}{_half(line.half)}"


def difference_text(line: Line, baseline: str) -> str:
    """A difference in points, its interval and on which side of 0 that lies."""
    if line.row == baseline:
        return "baseline"
    if line.difference is None:
        return "-"
    return f"{100 * line.difference:+.1f}{_half(line.difference_half)}{line.verdict and f', {line.verdict}'}"


def _half(half: float | None) -> str:
    return "" if half is None else f" ± {100 * half:.1f}"


def starred(words: str) -> str:
    """Keep Markdown from reading a star as emphasis."""
    return words.replace("*", "\\*")


def escaped(words: str) -> str:
    """Keep Markdown from reading words as a column or a tag."""
    return words.replace("|", "\\|").replace("<", "&lt;")
