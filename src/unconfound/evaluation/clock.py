"""The time that each stage of an evaluation takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress


class Clock:
    """Takes the time of stages and shows them as a bar.

    Args:
        name: of what is evaluated.
        progress: where the bar is shown.
        stages: how many there will be.
    """

    def __init__(self, name: str, progress: Progress | None, *, stages: int) -> None:
        self.seconds: dict[str, float] = {}
        self.name, self.progress = name, progress
        self.task = None if progress is None else progress.add_task(f"evaluate {name}", total=stages)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, in seconds; a stage of the same name is added to."""
        start = time.perf_counter()
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, description=f"evaluate {self.name}: {name}")
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task)
