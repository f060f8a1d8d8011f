"""What a training consists of: epochs of passes over the data, passes of updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from unconfound.methods import Phase
from unconfound.options.training import TrainingOptions


@dataclass(frozen=True)
class Plan:
    """What a training consists of: epochs of passes over the data, passes of updates.

    Args:
        options: of the training.
        passes: epoch -> pass -> the phases that share the pass.
        updates: in each pass.
        batch_size: samples per batch, over all processes; an update takes `options.accumulate` of them.
    """

    options: TrainingOptions
    passes: list[list[list[Phase]]]
    updates: int
    batch_size: int

    @property
    def epochs(self) -> int:
        """Their number; one where a method has no phases and only prepares itself."""
        return len(self.passes)

    @property
    def samples_per_update(self) -> int:
        """Over all processes."""
        return self.batch_size * self.options.accumulate

    @property
    def samples(self) -> int:
        """Of all updates."""
        return sum(map(len, self.passes)) * self.updates * self.samples_per_update


def make_plan(phases: Sequence[Phase], options: TrainingOptions, *, samples: int, batch_size: int) -> Plan:
    """Lay out a training.

    Raises:
        ValueError: a phase would never run, or not to its end.
    """
    epochs = options.epochs if phases else 1
    phases = [_from_the_first_epoch(phase, epochs) for phase in phases]
    for phase in phases:
        if not 0 <= phase.start < (epochs if phase.stop is None else phase.stop) <= epochs:
            raise ValueError(
                f"{epochs} epochs do not reach the phase {phase.name}, from epoch {phase.start + 1} to "
                f"{'the last' if phase.stop is None else phase.stop}: train for more --epochs"
            )
    passes = [list(_passes(phases, epoch)) for epoch in range(epochs)]
    return Plan(options, passes, samples // (batch_size * options.accumulate), batch_size)


def _from_the_first_epoch(phase: Phase, epochs: int) -> Phase:
    """Count the epochs of a phase from the first one on, not from the end."""
    start = phase.start + epochs if phase.start < 0 else phase.start
    stop = phase.stop + epochs if phase.stop is not None and phase.stop < 0 else phase.stop
    return replace(phase, start=start, stop=stop)


def _passes(phases: Sequence[Phase], epoch: int) -> Iterator[list[Phase]]:
    """Group the phases of an epoch that share a pass over the data."""
    group: list[Phase] = []
    for phase in phases:
        if not phase.start <= epoch < (epoch + 1 if phase.stop is None else phase.stop):
            continue
        if phase.own_pass and group:
            yield group
            group = []
        group.append(phase)
    if group:
        yield group
