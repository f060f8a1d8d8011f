"""Runs by name: from what the command line and recipes say to a trained encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unconfound.data import Dataset, Schema
from unconfound.data.core.features_alone import features_alone
from unconfound.data.modality import modalities_of
from unconfound.devices import choose_device
from unconfound.encoders import Encoder, build_encoder
from unconfound.encoders.start import Start, check_options, find_start
from unconfound.encoders.start_encoder import begin_again, check_kind, start_encoder
from unconfound.encoders.started import FILE, Started, read_started
from unconfound.loading import load
from unconfound.methods import METHODS
from unconfound.monitor import Monitor
from unconfound.options.data import DataOptions
from unconfound.options.encoders import EncoderOptions
from unconfound.options.fit import FitArguments
from unconfound.progress import announced
from unconfound.training import Callback, Fitted, fit
from unconfound.training.fitting import plain
from unconfound.training.run_folder import RunFolder
from unconfound.training.trackers import tracker_callback


def fit_run(
    method: str,
    arguments: FitArguments[Any],
    *,
    dataset: Dataset | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Read the data, make the encoder and the method, and train.

    Args:
        method: its name.
        arguments: all else.
        dataset: what `arguments.data` names, where it is in memory already.
        callbacks: told what happens, beside those that the arguments ask for.

    Raises:
        ValueError, FileNotFoundError: any mistake in the arguments or the data.
    """
    out = arguments.out or Path("runs") / method
    if arguments.data.masks is not None and arguments.data.masks.resolve() == out.resolve():
        raise ValueError(f"--out {out} is the run that is to estimate the masks (--masks): choose another --out")
    folder = RunFolder(out, resume=arguments.resume, overwrite=arguments.overwrite)
    if int(os.environ.get("RANK", "0")) == 0:
        # Before the data are read, which may take long; one process only, as it may have begun to write for all.
        folder.check()
    choose_device(arguments.training.device)
    trackers = [tracker_callback(name) for name in arguments.trackers]
    start = _start_of(arguments.encoder, folder)
    if dataset is None:
        dataset = _read(arguments.data, start)
    monitors = [Monitor(dataset, every=arguments.monitor_every)] if arguments.monitor_every else []
    kind = METHODS[method]
    source = dataset.train if dataset.labelled is None or not kind.needs_labels else dataset.labelled
    if isinstance(start, Start) and start.card is not None:
        check_kind(start.card, source.schema, source=start.source, what=arguments.data.data)
        # A run brings its normalisation.
        mean = deviation = None
    else:
        mean, deviation = source.statistics()
    torch.manual_seed(arguments.training.seed)
    encoder = _encoder(start, source.schema, arguments.encoder, mean=mean, deviation=deviation)
    return fit(
        kind(encoder, source.schema, arguments.options),
        dataset,
        out=out,
        training=arguments.training,
        config=run_config(method, arguments),
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        # A tracker hears of a monitor's figures from metrics.csv.
        callbacks=[*trackers, *monitors, *callbacks],
    )


def read_data(arguments: FitArguments[Any], *, out: Path) -> Dataset:
    """Read the data of a run: with the features of those of the run that its encoder starts from, if there is one.

    Args:
        arguments: of the run.
        out: its folder, which may hold what has been done of it.

    Raises:
        ValueError, FileNotFoundError: they cannot be read, or there is nothing to start from.
    """
    return _read(arguments.data, _start_of(arguments.encoder, RunFolder(out, resume=True)))


def _read(data: DataOptions, start: Start | Started | None) -> Dataset:
    restore = _restore(data, start)
    with announced(f"reading {data.data}"):
        return load(data, restore=restore)


def _start_of(options: EncoderOptions, folder: RunFolder) -> Start | Started | None:
    """Find what the encoder starts from; of a run that goes on, what it started from, whose weights it has itself."""
    if options.start is None:
        return None
    if folder.resume and folder.checkpoint.is_file() and (folder.path / FILE).is_file():
        return read_started(folder.path)
    if Path(options.start).resolve() == folder.path.resolve():
        raise ValueError(f"--out {folder.path} is the run to start --from: choose another --out, or --resume that run")
    start = find_start(options.start)
    check_options(start, options)
    return start


def _restore(data: DataOptions, start: Start | Started | None) -> dict[str, Any]:
    """Return how the data are read: with the features of those of the run that the encoder starts from.

    Raises:
        ValueError: the data are of another kind, or options contradict the run.
    """
    if start is None:
        return {}
    modality, before = _known(start)
    kinds = modalities_of(data)
    if modality and modality not in kinds:
        raise ValueError(
            f"{data.data} holds {' or '.join(sorted(kinds))}, the encoder of {start.source} takes {modality}: start "
            "from a run on such data"
        )
    restore = features_alone(before)
    if "channels" in restore:
        restore.setdefault("bits", 16)
    for name in ("channels", "node_features", "bits"):
        asked, has = getattr(data, name), restore.get(name)
        if has is not None and asked not in (getattr(DataOptions, name), has):
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} {asked} is not that of {start.source} ({has}): leave --{flag} out")
    # What fits any encoder of the kind is the user's to say.
    if data.image_size is not None:
        restore.pop("image_size", None)
    if data.max_length != DataOptions.max_length:
        restore.pop("max_length", None)
    return restore


def _known(start: Start | Started) -> tuple[str, dict[str, Any]]:
    """Return the modality of the samples that an encoder starts with, if it is known, and how those were read."""
    if isinstance(start, Started):
        return start.architecture["modality"], start.restore
    if start.card is not None:
        return start.card.schema.modality, start.card.restore
    return "images" if start.model else "", {}


def _encoder(
    start: Start | Started | None,
    schema: Schema,
    options: EncoderOptions,
    *,
    mean: torch.Tensor | None,
    deviation: torch.Tensor | None,
) -> Encoder:
    if isinstance(start, Started):
        return begin_again(start, schema)
    if start is not None:
        return start_encoder(start, schema, options=options, mean=mean, deviation=deviation)
    return build_encoder(
        options.encoder,
        schema,
        mean=mean,
        deviation=deviation,
        pretrained=options.pretrained,
        width=options.width,
        depth=options.depth,
        pooling=options.pooling,
    )


def run_config(method: str, arguments: FitArguments[Any]) -> dict[str, Any]:
    """Return what the config.toml of such a run holds."""
    sections = ("data", "encoder", "options", "training")
    return {"method": method} | {section: plain(getattr(arguments, section)) for section in sections}
