"""Cells of a comparison side by side, each in a process of its own with a share of the CPU cores; a GPU they share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

import joblib

from unconfound.comparison import worker
from unconfound.comparison.plan import Task
from unconfound.comparison.record import Cell
from unconfound.progress import console
from unconfound.training.stop import StopRequest, TrainingStopped

PAUSE = 0.2  # seconds between two looks at whether a signal asked to stop
GRACE = 60.0  # seconds for a step and its checkpoint to end


@dataclass
class Worker:
    """A process and the place of the cell that it runs."""

    process: subprocess.Popen[bytes]
    place: int

    def stop(self) -> None:
        """Ask it to end: with a checkpoint where it trains, and whole files."""
        assert self.process.stdin is not None
        # Not by a signal: a second one would act at once. It may have ended on its own.
        with suppress(BrokenPipeError):
            self.process.stdin.write(b"stop")

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        self.stop()
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            assert self.process.stdin is not None
            self.process.stdin.close()


def run_in_processes(
    tasks: Sequence[Task], waiting: Sequence[int], *, jobs: int, log: Path, lock: int | None
) -> Generator[tuple[int, Cell], None, None]:
    """Run cells in several processes and give each as it comes. Close the iterator, to end the processes early.

    SIGINT and SIGTERM stop all processes with their checkpoints; a second signal acts at once. A process that is killed
    leaves its cell to --resume, and another takes its place. Where this one is killed, the others end at once.

    Args:
        tasks: those of the comparison.
        waiting: places of those that are to be run, in this order.
        jobs: processes; each has a share of the cores, which does not depend on how many cells there are.
        log: where tracebacks of failed cells go.
        lock: the descriptor of the comparison's lock, which is held as long as one of the processes lives.

    Yields:
        The place of a task, and its cell.

    Raises:
        OSError: the disk is full.
        TrainingStopped: a signal asked to stop, and the processes have.
    """
    left, workers = list(waiting), dict[Connection, Worker]()
    ended = len(tasks) - len(waiting)

    def hand_over(connection: Connection) -> int:
        place = left.pop(0)
        # A process that has just been killed is found out when it is listened to.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send((tasks[place], {tasks[other].arguments.data for other in left}))
        return place

    def start() -> None:
        connection, process = _start(jobs, log, lock)
        workers[connection] = Worker(process, hand_over(connection))
        _say(f"started process {process.pid}", tasks, workers)

    with StopRequest() as stop:
        try:
            while left or workers:
                if stop.requested:
                    left.clear()
                    for each in workers.values():
                        each.stop()
                while left and len(workers) < jobs:
                    start()
                for connection in wait(list(workers), timeout=PAUSE):
                    assert isinstance(connection, Connection)
                    place, cell = workers[connection].place, _answer(connection)
                    if cell is None or not left:
                        code = _hang_up(connection, workers.pop(connection))
                    else:
                        workers[connection].place = hand_over(connection)
                    if cell is not None and cell.status != "waiting":
                        ended += 1
                        _say(f"{ended} of {len(tasks)} {_ending(cell)}", tasks, workers)
                        yield place, cell
                    elif not stop.requested:
                        _say(f"cut off: {tasks[place].title} (exit code {code})", tasks, workers)
        finally:
            _end(workers)
        if stop.requested and ended < len(tasks):
            raise TrainingStopped("stopped as asked", stop.number)


def _start(jobs: int, log: Path, lock: int | None) -> tuple[Connection, subprocess.Popen[bytes]]:
    threads = max(1, joblib.cpu_count() // jobs)
    ours, theirs = Pipe()
    process = subprocess.Popen(
        # By its path, so that it watches for our end before it imports anything. -P: not whatever lies in the user's
        # folder under the name of a library.
        [
            sys.executable,
            "-P",
            str(Path(worker.__file__)),
            str(theirs.fileno()),
            *([] if lock is None else [str(lock)]),
        ],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno(), *([] if lock is None else [lock])],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        # Ctrl-C reaches this process alone, which then asks the others.
        start_new_session=True,
    )
    theirs.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        ours.send((sys.argv, threads, str(log)))
    return ours, process


def _answer(connection: Connection) -> Cell | None:
    """Take a cell from a process; None where that has died.

    Raises:
        OSError: its disk is full.
    """
    try:
        answer = connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    if isinstance(answer, OSError):
        raise answer
    assert isinstance(answer, Cell)
    return answer


def _hang_up(connection: Connection, ended: Worker) -> int:
    connection.close()
    return ended.end()


def _end(workers: dict[Connection, Worker]) -> None:
    for each in workers.values():
        each.stop()
    for connection, each in workers.items():
        _hang_up(connection, each)


def _ending(cell: Cell) -> str:
    if cell.status == "failed":
        return f"failed: {cell.title}: {cell.error}"
    told = f" ({cell.seconds:,.0f} s of training)" if cell.seconds is not None else ""
    return f"done: {cell.title}{told}"


def _say(line: str, tasks: Sequence[Task], workers: dict[Connection, Worker]) -> None:
    """Print what happened and what runs now."""
    running = "; ".join(tasks[each.place].title for each in workers.values())
    console.print(f"{line}{f' | running: {running}' if running else ''}")
