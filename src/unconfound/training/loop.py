"""The training loop: updates in phases in passes in epochs, nothing hidden."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from unconfound.data import Batch, Source
from unconfound.methods import Method, Phase
from unconfound.options.training import TrainingOptions
from unconfound.progress import announced
from unconfound.training.alarms import NotFiniteError, collapse_alarm, embedding_health, not_finite_message
from unconfound.training.checkpoint import Position
from unconfound.training.exchange import with_exchange
from unconfound.training.hardware import precision_of
from unconfound.training.optimizers import schedule, set_learning_rate
from unconfound.training.order import pass_order, seed_update
from unconfound.training.running_means import RunningMeans
from unconfound.training.selection import Kept, Selection
from unconfound.training.state import TrainingState
from unconfound.training.training_plan import Plan, make_plan
from unconfound.training.training_progress import TrainingProgress

if TYPE_CHECKING:
    # Importing it takes longer than torch: only where something is trained.
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Listener:
    """Whom the loop tells what happens.

    Args:
        save: takes a position between two updates and the state to go on from.
        row: takes one row of metrics.
        alarm: takes an alarm in plain words.
        stop: is asked after every update whether to end here.
        note: takes what was learnt after training, in plain words.
        kept: takes which epoch's encoder was chosen.
        epoch: takes the position behind the last update of an epoch, and the encoder.
        bar: the name on the progress bar; None shows no bar.
    """

    save: Callable[[Position, dict[str, Any]], None]
    row: Callable[[dict[str, Any]], None]
    alarm: Callable[[str], None]
    stop: Callable[[], bool]
    note: Callable[[str], None] = lambda line: None
    kept: Callable[[Kept], None] = lambda kept: None
    epoch: Callable[[Position, nn.Module], None] = lambda at, encoder: None
    bar: str | None = "train"


def train(
    method: Method,
    source: Source,
    options: TrainingOptions,
    *,
    fabric: Fabric,
    batch_size: int,
    listener: Listener,
    resumed: tuple[Position, dict[str, Any]] | None = None,
    validation: Source | None = None,
) -> bool:
    """Train a method in place.

    Args:
        method: what is trained.
        source: the training samples.
        options: how.
        fabric: launched.
        batch_size: samples per batch, over all processes; the last, incomplete batches of a pass are left out.
        listener: where checkpoints, metrics and alarms go.
        resumed: position and state of a checkpoint to go on from.
        validation: what the encoder is chosen by, and what some methods use once their encoder stands.

    Returns:
        False where a stop was asked for before the end.

    Raises:
        ValueError: a phase would never run, or not to its end, samples cannot be drawn as the method asks, or an
            encoder is to be chosen without a validation part that allows it.
        NotFiniteError: the loss became NaN or infinite.
    """
    plan = make_plan(method.phases(), options, samples=len(source), batch_size=batch_size)
    moving = TrainingState.prepare(method, options, fabric)
    running = RunningMeans(fabric.device)
    selection = Selection(moving, validation, options, passes=plan.passes, fabric=fabric, batch_size=batch_size)
    at, state = resumed or (Position(), None)
    if state is not None:
        _load(state, moving, running, selection)
    saved = time.monotonic()
    method.train()
    with _progress(plan, at, listener, fabric) as progress:
        for place, phases, batches in updates_of(method, source, plan, at, fabric=fabric, progress=progress):
            at = step(moving, phases, batches, place, source=source, plan=plan, fabric=fabric, running=running)
            progress.advance(plan.samples_per_update, epoch=at.epoch, loss=running.last_loss)
            stop = _any_process(listener.stop(), fabric)
            due = stop or time.monotonic() - saved >= options.checkpoint_seconds
            log = at.step % options.log_every == 0 or at.update == plan.updates
            if log or due:
                _raise_if_not_finite(running, moving, at, options, fabric)
            if log:
                _log(running, at, listener, progress, method.alarm())
            selection.look(at, updates=plan.updates, row=listener.row)
            if at.update == plan.updates and at.data_pass == len(plan.passes[at.epoch]) - 1:
                listener.epoch(at, moving.encoder)
            if due:
                listener.save(at, _content(moving, running, selection))
                saved = time.monotonic()
            if stop:
                return False
    at = Position(epoch=plan.epochs, step=at.step)
    listener.save(at, _content(moving, running, selection))
    selection.settle(listener.kept)
    seed_update(options.seed, at)
    with announced(f"finishing {listener.bar or 'training'}"):
        learnt = method.after_training(source, validation)
    if learnt:
        listener.note(learnt)
    return True


def updates_of(
    method: Method, source: Source, plan: Plan, at: Position, *, fabric: Fabric, progress: TrainingProgress
) -> Iterator[tuple[Position, list[Phase], list[Batch]]]:
    """Yield every update from a position on: where it is, the phases of its pass, and its batches."""
    seed, accumulate = plan.options.seed, plan.options.accumulate
    for epoch in range(at.epoch, plan.epochs):
        if at.data_pass == at.update == 0:
            seed_update(seed, at)
            progress.prepare(epoch)
            method.before_epoch(epoch, source)
            method.train()
        for number in range(at.data_pass, len(plan.passes[epoch])):
            phases = plan.passes[epoch][number]
            order = pass_order(
                method, source, plan.batch_size, phase=phases[0].name, seed=seed, epoch=epoch, data_pass=number
            )
            order = order[at.update * accumulate : plan.updates * accumulate]
            # Every process learns from its own rows of each batch.
            own = (rows.chunk(fabric.world_size)[fabric.global_rank] for rows in order)
            for batches in _chunks(source.batches(own), accumulate):
                yield at, phases, batches
                at = replace(at, update=at.update + 1, step=at.step + 1)
            at = replace(at, data_pass=number + 1, update=0)
        at = replace(at, epoch=epoch + 1, data_pass=0, update=0)


def step(
    moving: TrainingState,
    phases: Sequence[Phase],
    batches: list[Batch],
    at: Position,
    *,
    source: Source,
    plan: Plan,
    fabric: Fabric,
    running: RunningMeans,
) -> Position:
    """Make one update of each phase that is due; return the position behind it."""
    seed_update(plan.options.seed, at)
    if plan.options.exchange:
        # Once, so that all phases of the pass see the same samples.
        batches = [with_exchange(fabric.to_device(batch), plan.options, moving.method, source) for batch in batches]
    done = at.epoch + at.update / plan.updates
    for phase in phases:
        if at.update % phase.every == 0:
            epochs = (phase.stop or plan.epochs) - phase.start
            share = schedule(done - phase.start, epochs=epochs, warmup=plan.options.warmup_epochs)
            whole = done / plan.epochs
            update(moving, phase, batches, share, done=whole, step=at.step + 1, fabric=fabric, running=running)
    return replace(at, update=at.update + 1, step=at.step + 1)


def update(
    moving: TrainingState,
    phase: Phase,
    batches: list[Batch],
    share: float,
    *,
    done: float,
    step: int,
    fabric: Fabric,
    running: RunningMeans,
) -> None:
    """Move the parameters of one phase by the mean gradient of some batches."""
    optimizer = moving.optimizers[phase.name]
    rate = set_learning_rate(optimizer, share)
    moving.method.before_update(phase.name, done=done, learning_rate=rate)
    # Also what other phases' losses and before_epoch left in these parameters.
    moving.module.zero_grad()
    for batch in batches:
        with fabric.no_backward_sync(moving.module, enabled=batch is not batches[-1]):
            result = moving.module(fabric.to_device(batch), phase.name)
            fabric.backward(result.loss / len(batches))
        running.add(phase.name, result, step=step, rate=rate)
    if moving.gradient_clip is not None:
        # A gradient that is no number is told by `_raise_if_not_finite`, with its step.
        fabric.clip_gradients(moving.module, optimizer, max_norm=moving.gradient_clip, error_if_nonfinite=False)
    optimizer.step()
    moving.method.after_update()
    if moving.average is not None and phase.name in moving.moves_encoder:
        moving.average.update_parameters(moving.method.encoder)


def _content(moving: TrainingState, running: RunningMeans, selection: Selection) -> dict[str, Any]:
    return moving.content() | {"running": running.content(), "selection": selection.content()}


def _load(state: dict[str, Any], moving: TrainingState, running: RunningMeans, selection: Selection) -> None:
    moving.load(state)
    running.load(state["running"])
    selection.load(state.get("selection", {}))


def _progress(plan: Plan, at: Position, listener: Listener, fabric: Fabric) -> TrainingProgress:
    return TrainingProgress(
        name=listener.bar or "",
        samples=plan.samples,
        done=at.step * plan.samples_per_update,
        epochs=plan.epochs,
        enabled=listener.bar is not None and fabric.is_global_zero and plan.samples > 0,
    )


def _chunks(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _log(
    running: RunningMeans, position: Position, listener: Listener, progress: TrainingProgress, told: str | None
) -> None:
    health = {} if running.embeddings is None else embedding_health(running.embeddings)
    for row in running.rows():
        place = {"step": position.step, "epoch": position.epoch + 1, "samples_per_second": round(progress.speed, 1)}
        listener.row(place | row | {key: round(value, 4) for key, value in health.items()})
    if health and (message := collapse_alarm(health, step=position.step)):
        listener.alarm(message)
    if told:
        listener.alarm(told)


def _raise_if_not_finite(
    running: RunningMeans, moving: TrainingState, position: Position, options: TrainingOptions, fabric: Fabric
) -> None:
    what, step = "loss", running.first_bad_step()
    if step is None and not moving.is_finite():
        what, step = "weights", position.step
    if step is not None:
        told = not_finite_message(step, position.epoch, what=what, options=options, precision=precision_of(fabric))
        raise NotFiniteError(told)


def _any_process(flag: bool, fabric: Fabric) -> bool:
    if fabric.world_size == 1:
        return flag
    asked = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return bool(asked > 0)  # type: ignore[operator]
