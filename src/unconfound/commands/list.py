"""`unconfound list`: the methods, encoders, data sets, recipes and comparisons there are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from unconfound.listing import MODALITIES, TITLES, fitted, listing


def command(words: Sequence[str]) -> None:
    """Do what `unconfound list` says."""
    if set(words) & {"-h", "--help"}:
        print("usage: unconfound list [WORD ...]\n")
        print("Print what there is, one line per entry. Words choose from it:")
        print(f"  {', '.join(TITLES)}\n  {', '.join(MODALITIES)} (entries for these and for any data)")
        return
    text = listing(words)
    # Piped, an entry stays one line, for grep.
    print(fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)
