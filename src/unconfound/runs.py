"""Runs by name: from what the command line and recipes say to a trained encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unconfound.data import Dataset
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.loading import load
from unconfound.methods import METHODS
from unconfound.monitor import Monitor
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
    if int(os.environ.get("RANK", "0")) == 0:
        # Before the data are read, which may take long; one process only, as it may have begun to write for all.
        RunFolder(out, resume=arguments.resume, overwrite=arguments.overwrite).check()
    choose_device(arguments.training.device)
    trackers = [tracker_callback(name) for name in arguments.trackers]
    if dataset is None:
        with announced(f"reading {arguments.data.data}"):
            dataset = load(arguments.data)
    monitors = [Monitor(dataset, every=arguments.monitor_every)] if arguments.monitor_every else []
    kind = METHODS[method]
    source = dataset.train if dataset.labelled is None or not kind.needs_labels else dataset.labelled
    mean, deviation = source.statistics()
    torch.manual_seed(arguments.training.seed)
    chosen = arguments.encoder
    encoder = build_encoder(
        chosen.encoder,
        source.schema,
        mean=mean,
        deviation=deviation,
        pretrained=chosen.weights or chosen.pretrained,
        width=chosen.width,
        depth=chosen.depth,
        pooling=chosen.pooling,
    )
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


def run_config(method: str, arguments: FitArguments[Any]) -> dict[str, Any]:
    """Return what the config.toml of such a run holds."""
    sections = ("data", "encoder", "options", "training")
    return {"method": method} | {section: plain(getattr(arguments, section)) for section in sections}
