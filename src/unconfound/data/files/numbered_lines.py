"""Lists of numbered lines, as CUB-200-2011 keeps what is known of its images and classes."""

from __future__ import annotations

from pathlib import Path

from unconfound.data.files.damaged import check_text, naming


def numbered(path: Path) -> dict[int, str]:
    """Read the lines of a file by their numbers: what follows the number and a space, in the order of the file.

    Raises:
        ValueError: a line is damaged, or has the number of an earlier one, or there is no line.
    """
    lines: dict[int, str] = {}
    for place, line in enumerate(text_lines(path), 1):
        number, _, rest = line.strip().partition(" ")
        if not number and not rest:
            continue
        if not (number.isascii() and number.isdigit() and rest):
            raise ValueError(f"{path}, line {place} is {line[:80]!r}: a number and what has it are needed")
        if int(number) in lines:
            raise ValueError(f"{path}, line {place} has the number {number} a second time: keep one of the lines")
        lines[int(number)] = rest.strip()
    if not lines:
        raise ValueError(f"{path} is empty: unpack it anew")
    return lines


def text_lines(path: Path) -> list[str]:
    """Read the lines of a text.

    Raises:
        ValueError: the file is no text.
    """
    with naming(path, advice="; unpack it anew"):
        text = path.read_text(encoding="utf-8")
    check_text(path, text, advice="unpack it anew")
    # `splitlines` would end lines at control characters, too.
    return text.removesuffix("\n").split("\n") if text else []
