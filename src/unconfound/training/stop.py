"""Ctrl-C and a scheduler's SIGTERM end the step, not the run folder."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import final


class Stopped(KeyboardInterrupt):  # what it derives from is no error either
    """Something ended as a signal asked it to, and `resume` goes on with it.

    Args:
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@final
class TrainingStopped(Stopped):
    """A training was stopped. Its checkpoint is written."""


@final
class EmbeddingStopped(Stopped):
    """The embedding of data was stopped. The parts that were finished are written."""


class StopRequest:
    """While entered, SIGINT and SIGTERM are noted in `requested`; a second one acts at once, as usual.

    Attributes:
        requested: whether one came.
        number: of the signal; that of SIGTERM where another process was asked.
    """

    def __init__(self) -> None:
        self.requested = False
        self.number = int(signal.SIGTERM)
        self.before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; elsewhere (a notebook's worker thread) signals act as usual.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested, self.number = True, number
        signal.signal(number, self.before[number])
