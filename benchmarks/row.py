"""One comparison of a benchmark, and how it is measured."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One comparison with a peer, measured in one run.

    Args:
        what: what was measured.
        ours: our value, lower being better.
        peer: the peer's; None where there is none and `ours` is held against the target itself.
        ratio: what is held against the target.
        target: what the ratio should reach.
        unit: of `ours` and `peer`.
        at_most: the ratio should not exceed the target, instead of reaching it.
    """

    what: str
    ours: float
    peer: float | None
    ratio: float
    target: float
    unit: str
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def __str__(self) -> str:
        against = "" if self.peer is None else f", peer {self.peer:.4g} {self.unit}"
        wanted = f"{'at most' if self.at_most else 'at least'} {self.target:g}"
        verdict = "met" if self.met else "MISSED"
        return f"{self.what}: ours {self.ours:.4g} {self.unit}{against}; {self.ratio:.3g}, {wanted}: {verdict}"


def median_seconds(ours: Callable[[], object], peer: Callable[[], object], *, rounds: int) -> tuple[float, float]:
    """Time both in turns, after one untimed call of each, and return the median seconds of each."""
    taken: tuple[list[float], list[float]] = ([], [])
    for measured in (False, *[True] * rounds):
        for call, seconds in zip((ours, peer), taken, strict=True):
            started = time.perf_counter()
            call()
            if measured:
                seconds.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])


def peak_growth_mib(prepare: Callable[[], Callable[[], object]]) -> float:
    """Run in a process of its own, and return by how many MiB its peak of resident memory passes what it held before.

    Args:
        prepare: a function at the top of a module. It imports, allocates the inputs and runs a small case, and returns
            what is to be measured.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(prepare, sender.send))
    process.start()
    sender.close()  # so that a process that dies ends the wait
    growth: float = receiver.recv()
    process.join()
    return growth


def _measure(prepare: Callable[[], Callable[[], object]], send: Callable[[float], None]) -> None:
    call = prepare()
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
    before = _peak_kib()
    call()
    send((_peak_kib() - before) / 1024)


def _peak_kib() -> int:
    # Not getrusage: its peak includes that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
