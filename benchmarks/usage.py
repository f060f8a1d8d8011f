"""What a usage text costs: processor seconds of the command, against those of a Python that does nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import WHOLE, Scale
from benchmarks.row import LeftOut, Row

COMMANDS = ("list", "fit simclr --help", "evaluate --help", "embed --help", "index --help", "compare --help")
# What was to be reached is a second; a Python that does nothing takes some 0.02.
TARGET = 50


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    repeats = scale.of(5, 1)
    bare = _seconds("-c", "pass", repeats=repeats)
    for command in scale.of(COMMANDS, COMMANDS[:1]):
        ours = _seconds("-m", "unconfound", *command.split(), repeats=repeats)
        what = f"`unconfound {command}`, `python -c pass`"
        yield Row(what, ours, bare, ours / bare, TARGET, "s of CPU", at_most=True)


def _seconds(*words: str, repeats: int) -> float:
    """Return the least user and system time of a Python with these words."""
    least = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least
