"""Train a method and keep all of it in one folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

import unconfound
from unconfound.data import Dataset, Source
from unconfound.encoders import Encoder, describe, load_classifier, load_encoder, save_classifier, save_encoder
from unconfound.lock import FolderLock
from unconfound.methods import METHODS, Method
from unconfound.options.training import TrainingOptions
from unconfound.progress import announced, console
from unconfound.training.batch_size import balance_of, batch_size_of
from unconfound.training.checkpoint import Position, load_checkpoint, save_checkpoint
from unconfound.training.hardware import make_fabric, precision_of
from unconfound.training.loop import Listener, train
from unconfound.training.run_folder import Metrics, RunFolder
from unconfound.training.sample_table import write_samples
from unconfound.training.selection import Kept, check_selection
from unconfound.training.stop import StopRequest

if TYPE_CHECKING:
    # Importing it takes longer than torch: only where something is trained.
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Fitted:
    """A trained encoder and where it lies.

    Args:
        encoder: in evaluation mode, on the CPU.
        run: the run folder.
        finished: False where the run was asked to stop; `resume=True` goes on with it.
        classifier: what the method learnt to tell the classes apart by, from embeddings; None where it learnt none.
    """

    encoder: Encoder
    run: Path
    finished: bool
    classifier: nn.Linear | None = None


def fit(
    method: Method,
    dataset: Dataset,
    *,
    out: Path | str,
    training: TrainingOptions | None = None,
    config: dict[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Fitted:
    """Train a method on a data set and write the run folder.

    Args:
        method: freshly made, or to be continued.
        dataset: `train` is learnt from, its labelled part where the method needs labels; `validation` is what an
            encoder is chosen by (`TrainingOptions.select_every`), and used by methods that learn something once the
            encoder stands.
        out: the run folder.
        training: how.
        config: what config.toml says beside the training options; the command line gives everything needed to re-run.
        resume: go on with a run that was stopped or killed, on the CPU bit for bit as if it had not been.
        overwrite: remove an earlier run in `out`.

    Raises:
        ValueError: a stated batch larger than the data, data without the labels that the method needs or the validation
            part that an encoder is chosen by, a folder that holds something else or in which another process is at
            work, or a damaged checkpoint.
        NotFiniteError: the loss became NaN or infinite.
    """
    training = training or TrainingOptions()
    name = next((key for key, kind in METHODS.items() if kind is type(method)), type(method).__name__)
    source = _training_source(method, dataset, name)
    check_selection(training, dataset.validation, data=source.name)
    folder = RunFolder(Path(out), resume=resume, overwrite=overwrite)
    with announced("starting"):
        fabric = make_fabric(training, phases=len(method.phases()))
    batch_size, note = batch_size_of(training, len(source), fabric.world_size, balanced=balance_of(method, source))
    # Data that were handed over in Python have no words by which a command could read them again.
    config = config or {"method": name, "options": plain(getattr(method, "options", None))}
    with FolderLock(folder.path) as lock:
        if fabric.is_global_zero:
            folder.check()
            folder.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            # By now another process may have begun, and ended.
            folder.check()
            folder.start(config | {"training": plain(training)})
        fabric.barrier()
        return _fit(method, name, dataset, source, training, folder=folder, fabric=fabric, batch=(batch_size, note))


def _fit(
    method: Method,
    name: str,
    dataset: Dataset,
    source: Source,
    training: TrainingOptions,
    *,
    folder: RunFolder,
    fabric: Fabric,
    batch: tuple[int, str | None],
) -> Fitted:
    """Train in a folder that is this run's alone."""
    batch_size, note = batch

    def say(line: str, style: str | None = None) -> None:
        if fabric.is_global_zero:
            folder.log(line)
            console.print(line, style=style)

    resumed = None
    if folder.resume and folder.checkpoint.is_file():
        resumed = load_checkpoint(folder.checkpoint, method=name)
        say(f"resuming {folder.path} at epoch {resumed[0].epoch + 1}, update {resumed[0].step:,}")
    for line in (*source.notes, note):
        if line:
            say(line)
    say(
        f"training {name}: {describe(method.encoder)}; {len(source):,} samples of {source.name}, "
        f"batches of {batch_size}, on {_hardware(fabric)}, seed {training.seed}"
    )
    chosen: list[Kept] = []

    def keep(kept: Kept) -> None:
        chosen.append(kept)
        say(str(kept))

    started = time.monotonic()
    with StopRequest() as stop:
        finished = train(
            method,
            source,
            training,
            fabric=fabric,
            batch_size=batch_size,
            listener=_listener(folder, name, resumed, say=say, stop=stop, kept=keep, silent=not fabric.is_global_zero),
            resumed=resumed,
            validation=dataset.validation,
        )
    seconds = time.monotonic() - started
    if not finished:
        say(f"stopped after {seconds:,.0f} s as asked; go on with the same command and --resume")
        return Fitted(method.encoder.cpu().eval(), folder.path, finished=False)
    classifier = method.linear_classifier()
    if classifier is not None and training.ema_decay:
        say("the classifier is not kept: the encoder is a moving average, for which it was not trained")
        classifier = None
    if fabric.is_global_zero:
        provenance = {
            "unconfound": unconfound.__version__,
            "method": name,
            "options": plain(getattr(method, "options", None)),
            "training": plain(training),
            "batch_size": batch_size,
            "trained": bool(method.phases()),
            "labels": method.needs_labels,
            "groups": method.needs_groups,
            "weights": sum(parameter.numel() for parameter in method.encoder.parameters()),
            "data": {"name": source.name, "samples": len(source)},
            "seconds": round(seconds, 1),
            **({"kept": asdict(chosen[0])} if chosen else {}),
        }
        if classifier is not None:
            save_classifier(folder.path, classifier)
        if learnt := method.of_samples():
            write_samples(folder.path / "samples.parquet", source, learnt)
        save_encoder(
            folder.path, method.encoder, schema=source.schema, restore=dict(dataset.restore), provenance=provenance
        )
    fabric.barrier()
    say(f"trained {name} in {seconds:,.0f} s; the run is in {folder.path}")
    return Fitted(load_encoder(folder.path), folder.path, finished=True, classifier=load_classifier(folder.path))


def _training_source(method: Method, dataset: Dataset, name: str) -> Source:
    if not method.needs_labels:
        return dataset.train
    if dataset.labelled is None:
        raise ValueError(
            f"{name} learns from labels and {dataset.train.name} has none: give labels (class folders, --label), "
            "or train simclr, which needs none"
        )
    source = dataset.labelled
    found = [] if source.labels is None else source.labels.unique().tolist()
    if found and not 0 <= found[0] <= found[-1] < len(source.schema.classes):
        raise ValueError(
            f"labels of {source.name} are 0 to {len(source.schema.classes) - 1}, got {found[0]} to {found[-1]}: "
            "leave out the samples without a label"
        )
    if len(found) == 1:
        raise ValueError(
            f"all {len(source):,} labelled samples of {source.name} are of one class, "
            f"{source.schema.classes[found[0]]!r}: {name} learns to tell at least two apart"
        )
    return source


def _listener(
    folder: RunFolder,
    name: str,
    resumed: tuple[Position, dict[str, Any]] | None,
    *,
    say: Callable[..., None],
    stop: StopRequest,
    kept: Callable[[Kept], None],
    silent: bool,
) -> Listener:
    if silent:
        return Listener(lambda *_: None, lambda _: None, lambda _: None, lambda: stop.requested, bar=None)
    metrics = Metrics(folder.path / "metrics.csv", step=0 if resumed is None else resumed[0].step)
    alarms: set[str] = set()

    def alarm(line: str) -> None:
        kind = line.partition(" ")[0]
        if kind not in alarms:
            alarms.add(kind)
            say(f"warning: {line}", style="bold yellow")

    return Listener(
        save=lambda at, state: save_checkpoint(folder.checkpoint, method=name, position=at, state=state),
        row=metrics.add,
        alarm=alarm,
        stop=lambda: stop.requested,
        note=say,
        kept=kept,
        bar=name,
    )


def _hardware(fabric: Fabric) -> str:
    processes = f"{fabric.world_size} processes on " if fabric.world_size > 1 else ""
    return f"{processes}{fabric.device.type} (precision {precision_of(fabric)})"


def plain(options: Any) -> dict[str, Any]:
    """Turn a dataclass of options into what TOML and JSON can hold: no None, paths as text, tuples as lists."""
    return {
        key: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for key, value in ({} if options is None else asdict(options)).items()
        if value is not None
    }
