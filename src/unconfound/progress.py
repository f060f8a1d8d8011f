"""What a user sees while a command works, on the standard error: nothing of it gets into what is piped on.

Functions take a `rich.progress.Progress` and show nothing without one; commands hand them `Bars`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Timer
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from unconfound.visible import visible


class PlainConsole(Console):
    """A console on which text is text: names that come from data may hold brackets, colons or control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "emoji": False, "highlight": False} | options))

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


class Description(TextColumn):
    """What a task is called, as it is written."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def render(self, task: Task) -> Text:
        return Text(visible(task.description), justify=self.justify)


console = PlainConsole(stderr=True, soft_wrap=True)
# Seconds that a user may wait without a word, at a terminal and where there is none.
PATIENCE, BETWEEN_LINES = 1.0, 30.0


class Rate(ProgressColumn):
    """How many a second, of tasks that name what they count: `add_task(..., unit="samples")`."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task))


class Bars(Progress):
    """A bar for each task on a terminal; elsewhere a line every half minute on the one that is under way.

    Args:
        first: what is done before the first task begins, as in "reading adult"; said once it takes a second.
    """

    def __init__(self, first: str | None = None) -> None:
        self._told = None if first is None else _later(first)
        self._last_line = time.monotonic()
        super().__init__(
            Description(),
            BarColumn(bar_width=24),
            Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        """Begin; bars appear with the first task, so that what comes before may show one of its own."""
        if self._told:
            self._told.start()
        return self

    def stop(self) -> None:
        if self._told:
            self._told.cancel()
        super().stop()

    def add_task(self, description: str, *arguments: Any, **named: Any) -> TaskID:
        if self._told:
            self._told.cancel()
        self.start()
        return super().add_task(description, *arguments, **named)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        now = time.monotonic()
        if self.disable and now - self._last_line > BETWEEN_LINES:
            self._last_line = now
            task = self._tasks[task_id]
            of = "" if task.total is None else f" of {task.total:,.0f}"
            left = f", {timedelta(seconds=int(task.time_remaining))} left" if task.time_remaining else ""
            told = f" {rate}{left}" if (rate := _rate(task)) else ""
            console.print(f"{task.description}: {task.completed:,.0f}{of}{told}")


def _rate(task: Task) -> str:
    unit = task.fields.get("unit")
    return f"{unit}, {task.speed:,.0f}/s" if unit and task.speed else ""


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say what is being done once it takes a second, or half a minute where there is no terminal.

    Of several processes only the first one speaks.
    """
    told = _later(what)
    told.start()
    try:
        yield
    finally:
        told.cancel()


def _later(what: str) -> Timer:
    def tell() -> None:
        if int(os.environ.get("RANK", "0")) == 0:
            console.print(f"{what} ...")

    timer = Timer(PATIENCE if console.is_terminal else BETWEEN_LINES, tell)
    timer.daemon = True
    return timer
