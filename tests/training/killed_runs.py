"""Runs that are killed: what a fresh process does. Imported by a fork server, so that a start costs no import."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import torch

from training.toy import convnet, dataset_of, image_source, options
from training.toy_methods import Queue, TwoPhase, TwoPhaseOptions
from unconfound.methods import DACL, DCML, SimCLR, Supervised
from unconfound.methods.dacl import DACLOptions
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.training import checkpoint, fit, run_folder

SOURCE = image_source(32)
TRAINING = {"checkpoint_seconds": 0.0, "log_every": 3, "epochs": 4, "batch_size": 8, "learning_rate": 0.01}
KINDS = {
    "simclr": (SimCLR, None, {}),
    "dacl+": (DACL, DACLOptions(functions=("linear", "geometric", "binary")), {}),
    "supervised": (Supervised, None, {"optimizer": "sgd", "accumulate": 2}),
    "two phases, average": (TwoPhase, TwoPhaseOptions(), {"ema_decay": 0.8, "optimizer": "lars"}),
    "queue": (Queue, None, {"gradient_clip": 0.5}),
    "dcml": (DCML, DCMLOptions(relearn_every=2), {}),
    "supervised, best kept": (Supervised, None, {"select_every": 1, "learning_rate": 0.3, "optimizer": "sgd"}),
}


def run(name: str, out: Path, *, kill: str = "", step: int = 0, seed: int = 0) -> None:
    """Start or go on with a run; kill the process at a step, where `kill` says."""
    torch.set_num_threads(1)
    if kill:
        _arm(kill, step)
    kind, given, changes = KINDS[name]
    method = kind(convnet(SOURCE, seed=seed), SOURCE.schema, given)
    data = replace(dataset_of(SOURCE), validation=SOURCE)
    fit(method, data, out=out, training=options(**TRAINING | changes), resume=True)


def _arm(kill: str, step: int) -> None:
    save, add = torch.save, run_folder.Metrics.add

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def dying_save(content, file):
        save(content, file)
        if content["position"]["step"] >= step:
            if kill == "half a checkpoint":
                os.truncate(file, os.path.getsize(file) // 2)
            die()

    def dying_add(self, row):
        add(self, row)
        if row["step"] >= step:
            if kill == "half a row":
                os.truncate(self.path, self.path.stat().st_size - 5)
            die()

    if "checkpoint" in kill:
        checkpoint.torch.save = dying_save
    else:
        run_folder.Metrics.add = dying_add
