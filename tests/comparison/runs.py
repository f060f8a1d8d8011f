"""Comparisons that are killed: what a fresh process does. Imported by a fork server, for a quick start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import unconfound.comparison.cell
import unconfound.report.comparison_files
from unconfound.cli import main
from unconfound.training import fitting, run_folder

SMALL = ["--width", "8", "--epochs", "2", "--batch-size", "32", "--checkpoint-seconds", "0", "--log-every", "2"]


def write_table(path: Path) -> Path:
    random = np.random.default_rng(0)
    age = random.normal(size=200)
    city = random.choice(["north", "south"], 200)
    income = np.where(age + random.normal(size=200) / 2 > 0, "high", "low")
    pd.DataFrame({"age": age, "city": city, "income": income}).to_csv(path, index=False)
    return path


def words(table: Path, out: Path, *rows: str) -> list[str]:
    flags = ["--data", str(table), "--label", "income", "--seeds", "0", "1", "--out", str(out)]
    return ["compare", *rows, *flags, *SMALL]


def run(table: Path, out: Path, *, kill: str = "", call: int = 0, jobs: int = 1) -> None:
    """Start or go on with a comparison; kill the process at the n-th call of a function, where `kill` names one."""
    torch.set_num_threads(1)
    go_on([*words(table, out, "random", "supervised"), "--resume", "--jobs", str(jobs)], kill=kill, call=call)


def go_on(arguments: list[str], *, kill: str = "", call: int = 0) -> None:
    """Do what a command says; kill the process at the n-th call of a function, where `kill` names one."""
    if kill:
        owners = {
            "add": run_folder.Metrics,
            "save_encoder": fitting,
            "write_tables": unconfound.report.comparison_files,
        }
        owner: Any = owners.get(kill, unconfound.comparison.cell)
        setattr(owner, kill, _dying(getattr(owner, kill), call))
    if code := main(arguments):
        sys.exit(code)


def _dying(function: Any, call: int) -> Any:
    calls = 0

    def dying(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)

    return dying
