"""The folder that holds all of a run."""

from __future__ import annotations

import csv
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import tomli_w
import torch

from unconfound.files import write_text
from unconfound.outputs import check_output_folder, remove_half_written

# What marks a folder as a run, so that --overwrite never removes anything else: many a project has a config.toml.
MARKERS = ("config.toml", "environment.json")
# Is there as long as the first of the markers may be without the other: an environment.json beside it is ours.
STARTING = ".starting"


class RunFolder:
    """config.toml, environment.json, metrics.csv, log.txt, checkpoint/ and the encoder's files.

    Args:
        path: the folder.
        resume: go on with the run that is there, or start it where nothing is.
        overwrite: remove the run that is there, once `start` is called.
    """

    def __init__(self, path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = path
        self.resume = resume
        self.overwrite = overwrite
        self.checkpoint = path / "checkpoint" / "state.pt"

    def check(self) -> None:
        """Refuse a folder that holds something else, before anything is read or changed.

        Raises:
            ValueError: the folder holds something and neither `resume` nor `overwrite` is given, or it holds no run.
        """
        begun = (STARTING, "environment.json") if (self.path / STARTING).is_file() else ()
        check_output_folder(
            self.path, kind="run", markers=MARKERS, resume=self.resume, overwrite=self.overwrite, begun=begun
        )

    def start(self, config: dict[str, Any]) -> None:
        """Write what was asked for and where it runs; a run that goes on must ask for the same.

        An earlier run is removed here if `overwrite` was given, not before: until then nothing is lost by a mistake.
        What a kill left half-written is removed, too.

        Raises:
            ValueError: `config` differs from the run that is there.
        """
        if self.overwrite and self.path.exists():
            # Not the folder itself, which is locked.
            for each in self.path.iterdir():
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink()
        self.check_config(config)
        for folder in (self.path, self.checkpoint.parent):
            remove_half_written(folder)
        starting = self.path / STARTING
        starting.parent.mkdir(parents=True, exist_ok=True)
        starting.touch()
        write_text(self.path / "environment.json", json.dumps(machine(), indent=2) + "\n")
        write_text(self.path / "config.toml", tomli_w.dumps(config))
        starting.unlink()

    def check_config(self, config: dict[str, Any]) -> None:
        """Refuse to go on with a run that asked for something else.

        Raises:
            ValueError: `config` differs from the run that is there.
        """
        path = self.path / "config.toml"
        if not path.is_file():
            return
        before = path.read_bytes().decode("utf-8", errors="replace")
        if changed := sorted(set(tomli_w.dumps(config).splitlines()) ^ set(before.splitlines())):
            raise ValueError(
                f"{self.path} was started with other options ({'; '.join(changed[:4])}): "
                "resume with the same ones, or start anew with --overwrite"
            )

    def log(self, line: str) -> None:
        """Append a line to log.txt."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")


class Metrics:
    """metrics.csv: a row every few steps. Rows later than `step` are dropped: they will be written again.

    Args:
        path: of the file.
        step: the last step whose rows are kept.
    """

    def __init__(self, path: Path, *, step: int = 0) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            self.rows.extend(row for row in _whole_rows(path) if int(row["step"]) <= step)
        self.columns = list(self.rows[0]) if self.rows else []
        self._rewrite()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; a name not seen before becomes a new column."""
        self.rows.append(row)
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def _rewrite(self) -> None:
        lines = [self.columns, *([row.get(name, "") for name in self.columns] for row in self.rows)]
        write_text(self.path, "".join(",".join(str(cell) for cell in line) + "\n" for line in lines if line))


def _whole_rows(path: Path) -> Iterator[dict[str, str]]:
    """Read what is whole of a metrics.csv: no row that was cut off by a kill, and none that is damaged."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    # A row that was cut off lacks its end.
    rows = csv.DictReader(line for line in text.splitlines(keepends=True) if line.endswith("\n"))
    with suppress(csv.Error):
        for row in rows:
            if None not in row and None not in row.values() and re.fullmatch("[0-9]{1,18}", row.get("step", "")):
                yield row


def machine() -> dict[str, Any]:
    """Say on what this process runs: versions, hardware, state of the git checkout, the command."""
    packages = ("unconfound", "torch", "numpy", "scikit-learn", "lightning-fabric")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "command": " ".join(["unconfound", *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": joblib.cpu_count(),
        "gpus": gpus,
        "git": _git(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
