"""Experiment trackers by name: TensorBoard, Weights & Biases, MLflow and Trackio."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any, final

from unconfound.extras import require
from unconfound.files import write_text
from unconfound.options.fit import Tracker
from unconfound.training.loggers import Logger, LoggerCallback

PROJECT = "unconfound"


def tracker_callback(name: Tracker) -> LoggerCallback:
    """Return what sends a training to a tracker.

    Where it goes (server, project, key) is what the tracker's own environment variables say. A run that goes on is
    continued there, too.

    Raises:
        ImportError: the tracker is not installed; the message says which extra brings it.
    """
    require(name, extra=name)
    makers = {"tensorboard": _tensorboard, "wandb": _WandbLogger, "mlflow": _MLflowLogger, "trackio": _TrackioLogger}
    return LoggerCallback(makers[name])


def _tensorboard(folder: Path, step: int) -> Logger:
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    # What an earlier process wrote of later steps is told again.
    return TensorBoardLogger(folder, name="tensorboard", version="", purge_step=step + 1 if step else None)


@final
class _WandbLogger:
    def __init__(self, folder: Path, step: int) -> None:
        wandb = require("wandb", extra="wandb")
        self.run = wandb.init(
            dir=str(folder), project=PROJECT, name=folder.name, id=_identity(folder, "wandb", step), resume="allow"
        )
        # Steps of their own: W&B drops what comes with a lower number than before, as after a kill.
        self.run.define_metric("*", step_metric="step")

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self.run.config.update(params, allow_val_change=True)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log(metrics | {"step": step})

    def finalize(self, status: str) -> None:
        self.run.finish(exit_code=0 if status == "success" else 1)


@final
class _TrackioLogger:
    def __init__(self, folder: Path, step: int) -> None:
        self.trackio = require("trackio", extra="trackio")
        # Trackio knows a run by its name alone.
        name = f"{folder.name}-{_identity(folder, 'trackio', step)}"
        self.start = {"project": PROJECT, "name": name, "resume": "allow", "embed": False}

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self.trackio.init(**self.start, config=params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.trackio.log(metrics, step=step)

    def finalize(self, status: str) -> None:
        self.trackio.finish()


@final
class _MLflowLogger:
    def __init__(self, folder: Path, step: int) -> None:
        self.mlflow = require("mlflow", extra="mlflow")
        self.client = self.mlflow.MlflowClient()
        known = folder / "mlflow-run.txt"
        if step and known.is_file():
            self.run = known.read_text().strip()
            return
        found = self.client.get_experiment_by_name(PROJECT)
        experiment = self.client.create_experiment(PROJECT) if found is None else found.experiment_id
        self.run = self.client.create_run(experiment, run_name=folder.name).info.run_id
        write_text(known, f"{self.run}\n")

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        entities = self.mlflow.entities
        self.client.log_batch(self.run, params=[entities.Param(name, str(value)) for name, value in params.items()])

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        now = int(1000 * time.time())
        told = [self.mlflow.entities.Metric(name, value, now, step or 0) for name, value in metrics.items()]
        self.client.log_batch(self.run, metrics=told)

    def finalize(self, status: str) -> None:
        self.client.set_terminated(self.run, "FINISHED" if status == "success" else "KILLED")


def _identity(folder: Path, tracker: str, step: int) -> str:
    """Return by what a tracker knows the run: a new word, or that of the run that goes on."""
    known = folder / f"{tracker}-run.txt"
    if step and known.is_file():
        return known.read_text().strip()
    identity = uuid.uuid4().hex[:8]
    write_text(known, f"{identity}\n")
    return identity
