"""One of several processes that run a comparison's cells: `python worker.py DESCRIPTOR [LOCK]`.

`jobs` starts it and is its only caller. What goes through the socket is pickled, which the two may do: it
never lies in a file and comes from no one else.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# All else takes seconds to import and is imported by functions, once the caller is watched.


def main() -> None:
    """Run one cell after another until the caller hangs up."""
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    from unconfound.lock import inherit

    for lock in sys.argv[2:]:
        inherit(int(lock))
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _work(connection)


def _work(connection: Connection) -> None:
    import torch

    from unconfound.comparison.cell import run_cell
    from unconfound.progress import console
    from unconfound.training.stop import TrainingStopped

    arguments, threads, log = connection.recv()
    # What run folders say of the command that made them is the command that the user typed.
    sys.argv = arguments
    torch.set_num_threads(threads)
    console.quiet = True
    datasets: dict[Any, Any] = {}
    while True:
        task, later = connection.recv()
        for options in datasets.keys() - {task.arguments.data, *later}:
            del datasets[options]
        try:
            cell = run_cell(task, datasets, log=Path(log))
        except TrainingStopped:
            cell = task.cell  # waiting
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            connection.send(error)
            return
        connection.send(cell)


def _end_with_the_caller() -> None:
    """Stop as a signal would, with a checkpoint, once the caller says so; at once where the caller has died."""
    asked = False
    # Not through sys.stdin, whose lock a thread that waits there would hold while the process ends.
    while os.read(0, 4096):
        if not asked:
            os.kill(os.getpid(), signal.SIGTERM)
        asked = True
    # Files are whole at any moment, and a checkpoint is never old.
    os._exit(1)


if __name__ == "__main__":
    main()
