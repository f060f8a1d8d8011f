"""A CSV file as text: how it is written is found out, and what was taken is said."""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from unconfound.data.tables.csv_cells import read_cells
from unconfound.data.tables.headers import check_header

# Of several that fit, the first is taken: a comma may be a decimal mark or stand in a name of each column.
_DELIMITERS = (";", "\t", "|", ",")
# The longer mark first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# How much of a file shows its delimiter.
_BEGINNING = 100_000
_LOOKED_AT = 20


def read_csv(path: Path, expected: Collection[str] = ()) -> tuple[pd.DataFrame, list[str], str]:
    """Read a CSV file with a header, plain or gzipped, in any of four delimiters and of the usual encodings.

    Args:
        path: the file.
        expected: names of columns; a first row that has one of them is a header, whatever else it holds.

    Returns:
        All cells as text, missing where they are empty or "?"; notes for the run's log; the delimiter.

    Raises:
        ValueError: a damaged file, one in another encoding, or one without a header.
    """
    raw = path.read_bytes()
    data, notes = _in_utf8(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    # No character has more than four bytes.
    beginning = data[: 4 * _BEGINNING].decode(errors="ignore")[:_BEGINNING]
    # Excel's own word for the delimiter.
    told = re.match(r'"?sep=(.)"?\r?\n', beginning)
    delimiter = told[1] if told else _delimiter(beginning)
    names, frame = read_cells(data[len(told[0].encode()) :] if told else data, delimiter)
    notes += check_header(names, frame, expected)
    return frame, notes, delimiter


def _in_utf8(raw: bytes) -> tuple[bytes, list[str]]:
    """The file in UTF-8, which plain ASCII is already."""
    if raw.isascii() and b"\0" not in raw:
        return raw, []
    text, notes = _decode(raw)
    return text.encode(), notes


def _decode(raw: bytes) -> tuple[str, list[str]]:
    """The file as text. What is not UTF-8, and says nothing else, is Windows-1252, of which Latin-1 is the letters."""
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), "utf-8")
    # Without a mark, every second byte of Western text in UTF-16 is zero.
    for start, name in ((0, "utf-16-be"), (1, "utf-16-le")):
        if encoding == "utf-8" and raw[start:200:2].count(0) > len(raw[:200]) // 4:
            encoding = name
    notes = [] if encoding.startswith("utf-8") else [f"it is read as {encoding.upper()}"]
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or _has_letters(raw):
            raise ValueError(
                f"it is damaged, or no {encoding.upper()}: {error.reason} at byte {error.start:,}; save it in UTF-8"
            ) from error
        text = raw.decode("cp1252", errors="replace")
        notes = ["it is no UTF-8 and is read as Windows-1252 (Latin-1): save it in UTF-8 where that is wrong"]
        odd = re.search(r"[\0-\x08\x0e-\x1f\ufffd]", text)
        if odd:
            raise ValueError(f"it is no text: it holds {odd[0]!r} at character {odd.start():,}") from error
    if "\0" in text:
        raise ValueError(f"it is no text: it holds a zero at character {text.index(chr(0)):,}")
    return text, notes


def _has_letters(raw: bytes) -> bool:
    """Whether bytes that are not all UTF-8 have letters of it: then they are damaged UTF-8, and no older encoding."""
    return any(letter > "\x7f" for letter in raw.decode("utf-8", errors="ignore"))


def _delimiter(beginning: str) -> str:
    """The delimiter that stands equally often in the header and in the rows after it, or else most often in it."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in beginning.splitlines()[:_LOOKED_AT] if line.strip()]
    header = lines[0] if lines else ""

    def fits(delimiter: str) -> tuple[bool, int]:
        times = header.count(delimiter)
        return times > 0 and all(line.count(delimiter) == times for line in lines), times

    return max(_DELIMITERS, key=fits)
