"""What a run tells while it trains: on the terminal, in log.txt and in metrics.csv."""

from __future__ import annotations

from typing import final

from unconfound.progress import console
from unconfound.training.checkpoint import save_checkpoint
from unconfound.training.loop import Listener
from unconfound.training.run_folder import Metrics, RunFolder
from unconfound.training.selection import Kept
from unconfound.training.stop import StopRequest


@final
class RunLog:
    """Tells what happens, from the first of several processes alone.

    Args:
        folder: of the run.
        name: of the method.
        first: this is the first process; others are silent.

    Attributes:
        kept: which epoch's encoder was chosen, once one was.
    """

    def __init__(self, folder: RunFolder, name: str, *, first: bool) -> None:
        self.folder, self.name, self.first = folder, name, first
        self.kept: Kept | None = None
        self.alarms: set[str] = set()

    def say(self, line: str, style: str | None = None) -> None:
        """Write a line into log.txt and on the terminal."""
        if self.first:
            self.folder.log(line)
            console.print(line, style=style)

    def alarm(self, line: str) -> None:
        """Say a warning, the first time that there is one of its kind."""
        kind = line.partition(" ")[0]
        if kind not in self.alarms:
            self.alarms.add(kind)
            self.say(f"warning: {line}", style="bold yellow")

    def keep(self, kept: Kept) -> None:
        """Say which epoch's encoder was chosen, and remember it."""
        self.kept = kept
        self.say(str(kept))

    def listener(self, stop: StopRequest, *, step: int) -> Listener:
        """Return what the loop tells things to.

        Args:
            stop: asks whether to end.
            step: rows of metrics.csv up to this one are kept.
        """
        if not self.first:
            return Listener(lambda *_: None, lambda _: None, lambda _: None, lambda: stop.requested, bar=None)
        path = self.folder.checkpoint
        return Listener(
            save=lambda at, state: save_checkpoint(path, method=self.name, position=at, state=state),
            row=Metrics(self.folder.path / "metrics.csv", step=step).add,
            alarm=self.alarm,
            stop=lambda: stop.requested,
            note=self.say,
            kept=self.keep,
            bar=self.name,
        )
