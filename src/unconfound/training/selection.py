"""Which epoch's encoder is kept: the one that retrieves best on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from unconfound.data import Source
from unconfound.encoders.apply import over_source
from unconfound.functional.retrieval_metrics import retrieval_metrics
from unconfound.methods import Phase
from unconfound.options.training import TrainingOptions
from unconfound.training.checkpoint import Position
from unconfound.training.state import TrainingState

if TYPE_CHECKING:
    # Importing it takes longer than torch: only where something is trained.
    from lightning_fabric import Fabric

FIGURES = {"map_at_r": "MAP@R", "precision_at_1": "P@1"}
# Without gradients so many of the run's batches fit in the memory of one.
BATCHES = 4


@dataclass(frozen=True)
class Kept:
    """What was chosen.

    Args:
        epoch: the first is 1.
        epochs: of the run.
        by: "map_at_r" or "precision_at_1".
        value: that figure on the validation part, in [0, 1].
        validation: name of the validation part.
    """

    epoch: int
    epochs: int
    by: str
    value: float
    validation: str

    def __str__(self) -> str:
        return (
            f"kept the encoder of epoch {self.epoch} of {self.epochs}: "
            f"validation {FIGURES[self.by]} {100 * self.value:.1f} %"
        )


def check_selection(options: TrainingOptions, validation: Source | None, *, data: str) -> None:
    """Refuse to choose where there is nothing to choose by.

    Args:
        options: of the training.
        validation: the validation part of the data.
        data: their name.

    Raises:
        ValueError: an encoder is to be chosen, and there is no validation part, it has no labels, or no two of its
            samples share a class.
    """
    if not options.select_every:
        return
    if validation is None:
        raise ValueError(
            f"select_every chooses the encoder on a validation part, which {data} does not have: give "
            "--validation-share 0.2 (or --fold 0 with --unseen-classes), or leave --select-every out"
        )
    labels = validation.labels if validation.labels is None else validation.labels[validation.labels >= 0]
    if labels is None or not len(labels):
        raise ValueError(
            f"select_every chooses the encoder by retrieval of labels, which {validation.name} does not have: give "
            "labels, or leave --select-every out"
        )
    if len(labels.unique()) == len(labels):
        raise ValueError(
            f"select_every chooses the encoder by retrieval, but no two samples of {validation.name} share a class: "
            "give a larger validation part, or leave --select-every out"
        )


class Selection:
    """Looks at the encoder every few epochs, and keeps the method as it was where retrieval was best.

    All of the method is kept, not its encoder alone: a classifier belongs to the encoder that it was trained with.
    Where a moving average of the encoder is saved, it is that which is looked at. Without `select_every` it does
    nothing.

    Args:
        moving: what is trained.
        validation: what it is evaluated on.
        options: `select_every` and `select_by`.
        passes: the phases of each pass of each epoch. The encoder is looked at after epochs that move it, the last of
            them included.
        fabric: of the run; its precision and device hold here, too.
        batch_size: of the run.

    Raises:
        ValueError: as `check_selection`.
    """

    def __init__(
        self,
        moving: TrainingState,
        validation: Source | None,
        options: TrainingOptions,
        *,
        passes: Sequence[Sequence[Sequence[Phase]]],
        fabric: Fabric,
        batch_size: int,
    ) -> None:
        check_selection(options, validation, data="the data")
        self.moving, self.validation, self.options, self.fabric = moving, validation, options, fabric
        self.batch_size, self.epochs = BATCHES * batch_size, len(passes)
        every = options.select_every
        moved = [
            epoch
            for epoch, groups in enumerate(passes)
            if any(phase.name in moving.moves_encoder for group in groups for phase in group)
        ]
        # Epoch -> its last pass.
        self.looks = {
            epoch: len(passes[epoch]) - 1
            for epoch in moved
            if every and ((epoch + 1) % every == 0 or epoch == moved[-1])
        }
        self.kept: Kept | None = None
        self.state: dict[str, Any] = {}

    def look(self, at: Position, *, updates: int, row: Callable[[dict[str, Any]], None]) -> None:
        """Evaluate the encoder after the last update of an epoch, and keep the method if it is the best so far.

        Modes and random numbers of the method are left as they are. Each process sees the whole validation part; what
        the first one finds decides for all.

        Args:
            at: the position behind the update.
            updates: of each pass.
            row: takes the figures, a row of metrics.csv.

        Raises:
            ValueError: an embedding is not finite.
        """
        if at.update < updates or self.looks.get(at.epoch) != at.data_pass or self.validation is None:
            return
        average, method = self.moving.average, self.moving.method
        figures = self.fabric.broadcast(retrieval_metrics(*self._embed(self.moving.encoder, self.validation)))
        told = {name: round(figure, 6) for name, figure in figures.items()}
        row({"step": at.step, "epoch": at.epoch + 1, "phase": "validation", **told})
        by = self.options.select_by
        if self.kept is None or figures[by] > self.kept.value:
            self.kept = Kept(at.epoch + 1, self.epochs, by, figures[by], self.validation.name)
            state = method.state_dict()
            if average is not None:
                state |= {f"encoder.{name}": each for name, each in average.module.state_dict().items()}
            # A copy: the method goes on.
            self.state = {name: each.detach().to("cpu", copy=True) for name, each in state.items()}

    def settle(self, told: Callable[[Kept], None]) -> None:
        """Put what is to be saved in the encoder's place: the average where there is one, and what was best."""
        self.moving.use_average()
        if self.kept is not None:
            self.moving.method.load_state_dict(self.state)
            told(self.kept)

    def content(self) -> dict[str, Any]:
        """Return what was kept so far as tensors and plain values."""
        if self.kept is None:
            return {}
        return {"epoch": self.kept.epoch, "value": self.kept.value, "method": self.state}

    def load(self, content: dict[str, Any]) -> None:
        """Take over what `content` returned."""
        if content and self.validation is not None:
            by, name = self.options.select_by, self.validation.name
            self.kept = Kept(content["epoch"], self.epochs, by, content["value"], name)
            self.state = content["method"]

    def _embed(self, encoder: nn.Module, source: Source) -> tuple[Tensor, Tensor]:
        labels = source.labels
        assert labels is not None
        known = (labels >= 0).nonzero().squeeze(1)
        device = self.fabric.device
        # Whatever an encoder draws, the training goes on as if it had not been looked at.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), self.fabric.autocast():
            rows = over_source(
                encoder, lambda _, inputs: encoder(inputs).float(), source, known.split(self.batch_size), device=device
            )
        return torch.cat(rows), labels[known].to(device)
