"""How time and memory of two sides are measured, and how much of it."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.row import LeftOut, Row

Step = Callable[[], object]
Size = TypeVar("Size")


@dataclass(frozen=True)
class Scale:
    """The whole of a benchmark, as `make bench` measures it, or as little as shows that it runs.

    Args:
        tiny: small inputs, each call timed once, memory in this process.
    """

    tiny: bool = False

    def of(self, whole: Size, tiny: Size) -> Size:
        """Choose a size."""
        return tiny if self.tiny else whole


WHOLE, TINY = Scale(), Scale(tiny=True)


def timed(
    what: str,
    ours: Step,
    peer: Callable[[], Step],
    *,
    target: float,
    rounds: int,
    scale: Scale,
    at_most: bool = False,
    unit: str = "s",
) -> Row | LeftOut:
    """Time both sides.

    Args:
        what: is measured.
        ours: the call that is timed.
        peer: makes the peer's. Where it lacks a library, ours is called once and nothing compared.
        target: of the ratio: the peer's seconds by ours, or ours by the peer's with `at_most`.
        rounds: calls of each.
        scale: how much.
        at_most: the ratio should not exceed the target.
        unit: s or ms.
    """
    try:
        theirs = peer()
    except ModuleNotFoundError as error:
        ours()
        return missing(what, error)
    seconds, others = median_seconds(ours, theirs, rounds=scale.of(rounds, 1))
    factor = {"s": 1.0, "ms": 1e3}[unit]
    ratio = seconds / others if at_most else others / seconds
    return Row(what, factor * seconds, factor * others, ratio, target, unit, at_most)


def held(
    what: str, ours: Callable[[], Step], peer: Callable[[], Step], *, target: float, scale: Scale
) -> Row | LeftOut:
    """Compare by how much the memory of both sides grows, each in a process of its own.

    Args:
        what: is measured.
        ours: as `peak_growth_mib` has it.
        peer: likewise. Where it lacks a library, nothing is compared.
        target: our growth by the peer's, at most.
        scale: how much.
    """
    memory = peak_growth_mib(ours, scale=scale)
    try:
        theirs = peak_growth_mib(peer, scale=scale)
    except ModuleNotFoundError as error:
        return missing(what, error)
    return Row(what, memory, theirs, memory / max(theirs, 1e-3), target, "MiB", at_most=True)


def median_seconds(ours: Step, peer: Step, *, rounds: int) -> tuple[float, float]:
    """Time both in turns, after one untimed call of each, and return the median seconds of each."""
    taken: tuple[list[float], list[float]] = ([], [])
    for measured in (False, *[True] * rounds):
        for call, seconds in zip((ours, peer), taken, strict=True):
            started = time.perf_counter()
            call()
            if measured:
                seconds.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])


def peak_growth_mib(prepare: Callable[[], Step], *, scale: Scale) -> float:
    """Run in a process of its own, and return by how many MiB its peak of resident memory passes what it held before.

    Args:
        prepare: a function at the top of a module. It imports, allocates the inputs and runs a small case, and returns
            what is to be measured.
        scale: where it is tiny, this process does.

    Raises:
        Exception: what the process raised.
        EOFError: it was killed.
    """
    if scale.tiny:
        return _growth(prepare)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(prepare, sender.send))
    process.start()
    sender.close()  # so that a process that dies ends the wait
    growth = receiver.recv()
    process.join()
    if isinstance(growth, Exception):
        raise growth
    return float(growth)


def _measure(prepare: Callable[[], Step], send: Callable[[float | Exception], None]) -> None:
    try:
        send(_growth(prepare))
    except Exception as error:
        send(error)


def _growth(prepare: Callable[[], Step]) -> float:
    call = prepare()
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
    before = _peak_kib()
    call()
    return (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    # Not getrusage: its peak includes that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def missing(what: str, error: ModuleNotFoundError) -> LeftOut:
    """Say that a peer's library is not here.

    Raises:
        ModuleNotFoundError: it is not a library of a peer.
    """
    if (error.name or "").partition(".")[0] in ("", "benchmarks", "unconfound"):
        raise error
    return LeftOut(what, f"{error.name} is not installed (make bench installs all peers)")
