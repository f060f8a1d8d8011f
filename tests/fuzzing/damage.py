"""What disks, transfers and hands do to a file; the same for the same number."""

from __future__ import annotations

import numpy as np

# What is dear to some parser: deep nesting, huge and odd numbers, ends of texts.
SPLICED = (
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 2000, b"(" * 3000, b"a." * 2000, b"9" * 30, b"9" * 5000),
    *(
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"0",
        b"\n",
        b"\r",
        b'"',
        b"'",
        b",",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\\ud800",
    ),
)


def damaged(content: bytes, case: int) -> bytes:
    """Return a file as one of eight kinds of damage leaves it.

    Args:
        content: of the file, at least one byte.
        case: which damage; any two calls with one content and one case agree.
    """
    rng = np.random.default_rng([15, case])
    harm = _HARMS[case % len(_HARMS)]
    return harm(content, rng)


def _place(content: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(len(content)))


def _span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    """A part of the file: mostly short, at times up to a quarter of it."""
    start = _place(content, rng)
    longest = max(1, len(content) // 4)
    return start, min(len(content), start + 1 + int(longest ** rng.random()))


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        changed[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _truncate(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: _place(content, rng)]


def _zero(content: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def _scramble(content: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def _copy(content: bytes, rng: np.random.Generator) -> bytes:
    """Write a part of the file over another."""
    start, end = _span(content, rng)
    to = _place(content, rng)
    return content[:to] + content[start:end] + content[to + end - start :]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    """Write a part twice, or leave it out."""
    start, end = _span(content, rng)
    return content[:start] + content[start:end] * int(2 * rng.integers(2)) + content[end:]


def _renumber(content: bytes, rng: np.random.Generator) -> bytes:
    """Change digits, which leaves a text well-formed."""
    digits = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if not digits:
        return _flip(content, rng)
    changed = bytearray(content)
    for place in rng.choice(digits, min(len(digits), int(rng.integers(1, 6))), replace=False):
        changed[place] = 48 + int(rng.integers(10))
    return bytes(changed)


def _splice(content: bytes, rng: np.random.Generator) -> bytes:
    to, length = _place(content, rng), int(rng.integers(3))
    return content[:to] + SPLICED[rng.integers(len(SPLICED))] + content[to + length :]


_HARMS = (_flip, _truncate, _zero, _scramble, _copy, _repeat, _renumber, _splice)
