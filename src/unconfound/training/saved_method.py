"""From a run folder back to the method that was trained there, with its heads and all else that no encoder holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unconfound.documents import one_line, read_toml
from unconfound.encoders import read_card
from unconfound.encoders.saved import Architecture, rebuild
from unconfound.methods import METHODS, Method
from unconfound.records import record, shown
from unconfound.training.checkpoint import load_checkpoint
from unconfound.training.run_folder import RunFolder


def load_method(run: Path | str) -> Method:
    """Rebuild the method of a finished run as its last checkpoint left it: in evaluation mode, on the CPU.

    Nothing is unpickled. Where a moving average of the encoder was asked for, the run's encoder is that average, the
    method's the one from which its last update went. Where the best encoder was kept (`select_every`), the method is
    the one that was kept with it. No random numbers are used up.

    Raises:
        FileNotFoundError: the folder holds no run, no encoder or no checkpoint.
        ValueError: a file is damaged, or the method cannot be rebuilt: it is not one of ours, its configuration cannot
            be read, or it was made in Python with more than options.
    """
    folder = RunFolder(Path(run))
    name, options = _configured(folder.path)
    card = read_card(folder.path)
    if not folder.checkpoint.is_file():
        raise FileNotFoundError(f"{folder.path} holds no checkpoint any more ({folder.checkpoint} is not there)")
    kind = METHODS[name]
    architecture = record(Architecture, card.architecture)
    # Those that the encoder had before the method put others around it.
    wrappers = architecture.wrappers[: card.provenance.get("start", {}).get("wrappers", 0)]
    # First weights are drawn at random, and then overwritten.
    with torch.random.fork_rng(devices=[]):
        try:
            encoder = rebuild(replace(architecture, wrappers=wrappers), card.schema)
            method = kind(encoder, card.schema, kind.Options(**options))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} of {folder.path} cannot be rebuilt by its config.toml ({one_line(error)})"
            ) from error
    _, state = load_checkpoint(folder.checkpoint, method=name)
    try:
        method.load_state_dict(state.get("selection", {}).get("method", state["method"]))
    except (RuntimeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{name} of {folder.path} cannot be rebuilt: its checkpoint does not fit its config.toml and encoder.json "
            f"({one_line(error)})"
        ) from error
    return method.eval()


def _configured(run: Path) -> tuple[str, dict[str, Any]]:
    """Read the name of a run's method and its options."""
    path = run / "config.toml"
    if not path.is_file():
        raise FileNotFoundError(f"{run} is no run folder: it holds no config.toml")
    config = read_toml(path)
    name, options = config.get("method"), config.get("options", {})
    if not isinstance(name, str) or not isinstance(options, dict):
        raise ValueError(f"{path} cannot be read: it needs a method and a section [options], got {shown(name)}")
    if name not in METHODS:
        raise ValueError(
            f"{path} says that {shown(name)} was trained, which is no method of ours and cannot be rebuilt"
        )
    # A file knows no tuples.
    return name, {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
