"""Runs by name: from what the command line and recipes say to a trained encoder, and back from a run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from unconfound.arguments import EvaluateArguments, FitArguments
from unconfound.data import Dataset
from unconfound.data.load import DataOptions, load
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.methods import METHODS
from unconfound.progress import announced
from unconfound.recipes import Recipe, read_recipe
from unconfound.training import Fitted, fit
from unconfound.training.fitting import plain
from unconfound.training.run_folder import RunFolder

# Options of the data that decide which samples are trained on, and not only how many.
SPLIT = (
    "test_share",
    "data_seed",
    "held_out",
    "validation_domain",
    "classic_split",
    "validation_share",
    "unseen_classes",
    "folds",
    "fold",
)


def fit_run(method: str, arguments: FitArguments[Any], *, dataset: Dataset | None = None) -> Fitted:
    """Read the data, make the encoder and the method, and train.

    Args:
        method: its name.
        arguments: all else.
        dataset: what `arguments.data` names, where it is in memory already.

    Raises:
        ValueError, FileNotFoundError: any mistake in the arguments or the data.
    """
    out = arguments.out or Path("runs") / method
    if int(os.environ.get("RANK", "0")) == 0:
        # Before the data are read, which may take long; one process only, as it may have begun to write for all.
        RunFolder(out, resume=arguments.resume, overwrite=arguments.overwrite).check()
    choose_device(arguments.training.device)
    if dataset is None:
        with announced(f"reading {arguments.data.data}"):
            dataset = load(arguments.data)
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
    )


def run_config(method: str, arguments: FitArguments[Any]) -> dict[str, Any]:
    """Return what the config.toml of such a run holds."""
    return {
        "method": method,
        "data": plain(arguments.data),
        "encoder": plain(arguments.encoder),
        "options": plain(arguments.options),
        "training": plain(arguments.training),
    }


def run_recipe(run: Path) -> Recipe:
    """Read the configuration of a run folder.

    Raises:
        FileNotFoundError: no run is there.
    """
    if not (run / "config.toml").is_file():
        raise FileNotFoundError(f"{run} is no run folder: it holds no config.toml")
    return read_recipe(str(run / "config.toml"))


def check_split(arguments: EvaluateArguments, recipe: Recipe, *, stated: bool) -> None:
    """Refuse to judge an encoder on samples that it was trained on, or on nobody knows what.

    Args:
        arguments: with the run's own data as defaults.
        recipe: of the run.
        stated: the user named the data.

    Raises:
        ValueError: the data are the run's own, but split otherwise, or neither the run nor the user names any.
    """
    trained = recipe.sections.get("data", {})
    if not trained and not stated:
        raise ValueError(
            f"{recipe.name} does not say which data the run was trained on, as these were handed over in Python: "
            "give --data, or use unconfound.audit"
        )
    # A validation part is taken out of the training samples that are left.
    drawn = ("train_samples",) if trained.get("validation_share") else ()
    for key in (*SPLIT, *drawn):
        # What a run's file leaves out was left at its default.
        asked, used = getattr(arguments.data, key), trained.get(key, getattr(DataOptions, key))
        if arguments.data.data == trained.get("data") and asked != used:
            flag = key.replace("_", "-")
            raise ValueError(
                f"--{flag} {asked} is another split than the run's ({used}), with training samples among the "
                f"samples it is judged on: leave --{flag} out"
            )
