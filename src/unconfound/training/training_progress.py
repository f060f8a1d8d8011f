"""What a user sees while a method is trained."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from unconfound.progress import Description, console


class TrainingProgress:
    """A bar with samples per second and time left; a line every half minute where there is no terminal.

    Args:
        samples: of all epochs and passes together.
        done: of a run that goes on.
        epochs: for the description.
        name: of what is trained.
        enabled: False on all processes but the first.
    """

    def __init__(self, *, name: str, samples: int, done: int, epochs: int, enabled: bool = True) -> None:
        self.name, self.samples, self.done, self.epochs = name, samples, done, epochs
        self.started, self.before = time.monotonic(), done
        self.lines = enabled and not console.is_terminal
        self.last_line = self.started
        self.bar = Progress(
            Description(),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]:>7,.0f} samples/s"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not enabled or self.lines,
        )
        self.task = self.bar.add_task(name, total=samples, completed=done, speed=0.0)

    @property
    def speed(self) -> float:
        """Samples a second since this process began."""
        return (self.done - self.before) / max(1e-9, time.monotonic() - self.started)

    def advance(self, samples: int, *, epoch: int, loss: Callable[[], float]) -> None:
        """Count samples that were learnt from; `loss` is asked for only when it is shown."""
        self.done += samples
        now = time.monotonic()
        if self.lines and now - self.last_line > 30:
            self.last_line = now
            left = (self.samples - self.done) / max(1e-9, self.speed)
            console.print(
                f"{self.name}: epoch {epoch + 1} of {self.epochs}, loss {loss():.3f}, {self.speed:,.0f} samples/s, "
                f"{left:,.0f} s left"
            )
        if not self.bar.disable:
            self.bar.update(
                self.task,
                completed=self.done,
                speed=self.speed,
                description=f"{self.name} epoch {epoch + 1}/{self.epochs}",
            )

    def prepare(self, epoch: int) -> None:
        """Show that a method prepares an epoch, which may take longer than the epoch itself."""
        if not self.bar.disable:
            self.bar.update(self.task, description=f"{self.name} before epoch {epoch + 1}/{self.epochs}")

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        sys.stderr.flush()
