"""What a usage text costs: processor seconds of the command, against those of a Python that does nothing."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.row import Row

COMMANDS = ("list", "fit simclr --help", "evaluate --help", "embed --help", "index --help", "compare --help")
# What was to be reached is a second; a Python that does nothing takes some 0.02.
TARGET = 50


def run(*, commands: tuple[str, ...] = COMMANDS, repeats: int = 5) -> list[Row]:
    bare = _seconds("-c", "pass", repeats=repeats)
    rows = []
    for command in commands:
        ours = _seconds("-m", "unconfound", *command.split(), repeats=repeats)
        rows.append(
            Row(
                what=f"`unconfound {command}`, `python -c pass`",
                ours=ours,
                peer=bare,
                ratio=ours / bare,
                target=TARGET,
                unit="s of CPU",
                at_most=True,
            )
        )
    return rows


def _seconds(*words: str, repeats: int) -> float:
    """Return the least user and system time of a Python with these words."""
    least = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least
