"""Train a method and keep all of it in one folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

import unconfound
from unconfound.data import Dataset, Source
from unconfound.encoders import Encoder, describe, load_classifier, load_encoder, save_classifier, save_encoder
from unconfound.encoders.started import Started, write_started
from unconfound.lock import alone_in
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions
from unconfound.progress import announced
from unconfound.training.batch_size import balance_of, batch_size_of
from unconfound.training.callback import Callback
from unconfound.training.checkpoint import load_checkpoint
from unconfound.training.exchange import settle_exchange
from unconfound.training.hardware import make_fabric, precision_of
from unconfound.training.loop import train
from unconfound.training.run_folder import RunFolder
from unconfound.training.run_log import RunLog
from unconfound.training.sample_table import write_samples
from unconfound.training.selection import check_selection
from unconfound.training.stop import StopRequest, TrainingStopped
from unconfound.training.training_source import training_source

if TYPE_CHECKING:
    # Importing it takes longer than torch: only where something is trained.
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Fitted:
    """A trained encoder and where it lies.

    Args:
        encoder: in evaluation mode, on the CPU.
        run: the run folder.
        classifier: what the method learnt to tell the classes apart by, from embeddings; None where it learnt none.
    """

    encoder: Encoder
    run: Path
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
    provenance: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train a method on a data set and write the run folder.

    Args:
        method: freshly made, or to be continued. What its encoder starts from (`start_encoder`) is recorded.
        dataset: `train` is learnt from, its labelled part where the method needs labels; `validation` is what an
            encoder is chosen by (`TrainingOptions.select_every`), and used by methods that learn something once the
            encoder stands.
        out: the run folder.
        training: how.
        config: what config.toml says beside the training options; the command line gives everything needed to re-run.
        resume: go on with a run that was stopped or killed, on the CPU bit for bit as if it had not been.
        overwrite: remove an earlier run in `out`.
        provenance: what encoder.json says of where the weights come from, beside how they were trained.
        callbacks: told what happens, in this order.

    Raises:
        ValueError: a stated batch larger than the data, data without the labels that the method needs, the validation
            part that an encoder is chosen by or the masks or nuisance that an exchange needs, a folder that holds
            something else or in which another process is at work, or a damaged checkpoint.
        FileNotFoundError: there is no folder of backgrounds to exchange with.
        NotFiniteError: the loss became NaN or infinite.
        TrainingStopped: Ctrl-C or SIGTERM asked to stop, and the checkpoint is written.
    """
    training = training or TrainingOptions()
    name = getattr(method, "name", type(method).__name__)
    source = training_source(dataset, labels=method.needs_labels, method=name)
    check_selection(training, dataset.validation, data=source.name)
    training, notes = settle_exchange(training, source, mask_note=dataset.mask_note)
    folder = RunFolder(Path(out), resume=resume, overwrite=overwrite)
    with announced("starting"):
        fabric = make_fabric(training, phases=len(method.phases()))
    size, note = batch_size_of(training, len(source), fabric.world_size, balanced=balance_of(method, source))
    # Data that were handed over in Python have no words by which a command could read them again.
    config = (config or {"method": name, "options": plain(getattr(method, "options", None))}) | {
        "training": plain(training)
    }
    log = RunLog(folder, name, first=fabric.is_global_zero, callbacks=callbacks)
    with alone_in(folder.path, folder.check) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            folder.start(config)
            if method.encoder.started is not None:
                write_started(folder.path, method.encoder.started)
        fabric.barrier()
        return _fit(
            method,
            dataset,
            source,
            training,
            log=log,
            config=config,
            fabric=fabric,
            batch=(size, [note, *notes]),
            origin=dict(provenance or {}),
        )


def _fit(
    method: Method,
    dataset: Dataset,
    source: Source,
    training: TrainingOptions,
    *,
    log: RunLog,
    config: Mapping[str, Any],
    fabric: Fabric,
    batch: tuple[int, Sequence[str]],
    origin: dict[str, Any],
) -> Fitted:
    """Train in a folder that is this run's alone."""
    name, folder, (batch_size, notes) = log.name, log.folder, batch
    checkpoint = folder.checkpoint
    resumed = load_checkpoint(checkpoint, method=name) if folder.resume and checkpoint.is_file() else None
    if resumed is not None:
        log.say(f"resuming {folder.path} at epoch {resumed[0].epoch + 1}, update {resumed[0].step:,}")
    begun = method.encoder.started
    said = "" if begun is None else f"the encoder starts from {begun.words}{_along(begun)}"
    for line in (said, *source.notes, *notes):
        if line:
            log.say(line)
    log.say(
        f"training {name}: {describe(method.encoder)}; {len(source):,} samples of {source.name}, "
        f"batches of {batch_size}, on {_hardware(fabric)}, seed {training.seed}"
    )
    started, step, finished = time.monotonic(), 0 if resumed is None else resumed[0].step, False
    log.start(config, step=step)
    try:
        with StopRequest() as stop:
            finished = train(
                method,
                source,
                training,
                fabric=fabric,
                batch_size=batch_size,
                listener=log.listener(stop, step=step),
                resumed=resumed,
                validation=dataset.validation,
            )
    finally:
        log.end(finished=finished)
    seconds = time.monotonic() - started
    if not finished:
        said = f"stopped after {seconds:,.0f} s as asked; go on with the same command and --resume"
        log.say(said)
        raise TrainingStopped(f"{folder.path}: {said}", stop.number)
    classifier = method.linear_classifier()
    if classifier is not None and training.ema_decay:
        log.say("the classifier is not kept: the encoder is a moving average, for which it was not trained")
        classifier = None
    if fabric.is_global_zero:
        if classifier is not None:
            save_classifier(folder.path, classifier)
        if learnt := method.of_samples():
            write_samples(folder.path / "samples.parquet", source, learnt)
        before = {} if begun is None else begun.origin
        provenance = origin | {
            "unconfound": unconfound.__version__,
            "method": name,
            "options": plain(getattr(method, "options", None)),
            "training": plain(training),
            "batch_size": batch_size,
            "trained": bool(method.phases()),
            "labels": method.needs_labels or bool(before.get("labels")),
            "groups": method.needs_groups or bool(before.get("groups")),
            "weights": sum(parameter.numel() for parameter in method.encoder.parameters()),
            "data": {"name": source.name, "samples": len(source)},
            "seconds": round(seconds, 1),
            **({} if log.kept is None else {"kept": asdict(log.kept)}),
            **({} if begun is None else {"start": begun.facts}),
        }
        save_encoder(
            folder.path, method.encoder, schema=source.schema, restore=dict(dataset.restore), provenance=provenance
        )
    fabric.barrier()
    log.say(f"trained {name} in {seconds:,.0f} s; the run is in {folder.path}")
    return Fitted(load_encoder(folder.path), folder.path, classifier=load_classifier(folder.path))


def _along(begun: Started) -> str:
    """Say what came along with the weights of a run."""
    if not begun.restore:
        return ""
    name, shape = begun.architecture["name"], begun.architecture["shape"]
    around = "".join(f" in {each['kind']}" for each in begun.architecture.get("wrappers", ()))
    size = begun.restore.get("image_size")
    read = {
        "images": f"size of images ({size})"
        if size in (None, *shape[1:])
        else f"channels, but not size of images ({size})",
        "tables": f"{shape[0]} features of a row",
        "graphs": f"{shape[0]} features of a node",
        "text": f"vocabulary of {shape[0]} tokens",
        "series": f"{shape[0]} channels",
    }[begun.architecture["modality"]]
    return f"; its {name}{around}, normalisation and {read} come along"


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
