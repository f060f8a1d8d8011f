"""What a run tells while it trains: on the terminal, in log.txt and in metrics.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import nn

from unconfound.progress import console
from unconfound.training.callback import Callback
from unconfound.training.checkpoint import Position, save_checkpoint
from unconfound.training.loop import Listener
from unconfound.training.run_folder import Metrics, RunFolder
from unconfound.training.selection import Kept
from unconfound.training.stop import StopRequest


@final
class RunLog:
    """Tells what happens to a user and to callbacks, from the first of several processes alone.

    Args:
        folder: of the run.
        name: of the method.
        first: this is the first process; others are silent.
        callbacks: told, too.

    Attributes:
        kept: which epoch's encoder was chosen, once one was.
    """

    def __init__(self, folder: RunFolder, name: str, *, first: bool, callbacks: Sequence[Callback] = ()) -> None:
        self.folder, self.name, self.first = folder, name, first
        self.callbacks = callbacks if first else ()
        self.kept: Kept | None = None
        self.alarms: set[str] = set()

    def say(self, line: str, style: str | None = None) -> None:
        """Write a line into log.txt and on the terminal."""
        if self.first:
            self.folder.log(line)
            console.print(line, style=style)

    def alarm(self, line: str) -> None:
        """Say a warning, the first time that there is one of its kind."""
        for callback in self.callbacks:
            callback.alarm(line)
        kind = line.partition(" ")[0]
        if kind not in self.alarms:
            self.alarms.add(kind)
            self.say(f"warning: {line}", style="bold yellow")

    def keep(self, kept: Kept) -> None:
        """Say which epoch's encoder was chosen, and remember it."""
        self.kept = kept
        self.say(str(kept))

    def start(self, config: Mapping[str, Any], *, step: int) -> None:
        """Tell callbacks that the training begins, or goes on after so many updates."""
        for callback in self.callbacks:
            callback.start(self.folder.path, config, step=step)

    def end(self, *, finished: bool) -> None:
        """Tell callbacks that the training ends here."""
        for callback in self.callbacks:
            callback.end(finished=finished)

    def listener(self, stop: StopRequest, *, step: int) -> Listener:
        """Return what the loop tells things to.

        Args:
            stop: asks whether to end.
            step: rows of metrics.csv up to this one are kept.
        """
        if not self.first:
            return Listener(lambda *_: None, lambda _: None, lambda _: None, lambda: stop.requested, bar=None)
        path, metrics = self.folder.checkpoint, Metrics(self.folder.path / "metrics.csv", step=step)

        def tell(row: dict[str, Any]) -> None:
            metrics.add(row)
            for callback in self.callbacks:
                callback.row(row)

        def look(at: Position, encoder: nn.Module) -> None:
            for callback in self.callbacks:
                if figures := callback.epoch(at.epoch + 1, encoder):
                    tell({"step": at.step, "epoch": at.epoch + 1, "phase": "monitor", **figures})

        return Listener(
            save=lambda at, state: save_checkpoint(path, method=self.name, position=at, state=state),
            row=tell,
            alarm=self.alarm,
            stop=lambda: stop.requested,
            note=self.say,
            kept=self.keep,
            epoch=look,
            bar=self.name,
        )
