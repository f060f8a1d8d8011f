"""Cells side by side: what becomes of failures, signals and a full disk; and one comparison a folder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import unconfound
import unconfound.comparison.cell
from comparison.runs import words, write_table
from unconfound.cli import main
from unconfound.comparison import jobs as comparison_jobs
from unconfound.comparison.jobs import run_in_processes
from unconfound.comparison.plan import Task, completed, tasks_of
from unconfound.comparison.rows import rows_of
from unconfound.files import atomic
from unconfound.lock import FolderLock
from unconfound.methods import METHODS
from unconfound.options.compare import CompareArguments
from unconfound.training import Fitted, TrainingStopped


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "table.csv")


def tasks(out: Path, *rows: str, flags: tuple[str, ...] = ()) -> list[Task]:
    asked = completed(rows_of(list(rows), methods=list(METHODS)), CompareArguments(seeds=(0, 1)))
    return tasks_of(asked, out, flags)


class Pretended:
    """Stands in for a process: a thread that answers each task as its row's name says."""

    def __init__(self, log: list[str]) -> None:
        self.ours, self.theirs = multiprocessing.Pipe()
        self.log = log
        self.ended = threading.Event()
        self.stdin = SimpleNamespace(write=lambda _: self.ended.set(), close=lambda: None)
        self.pid = 0
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        try:
            while True:
                task, _ = self.theirs.recv()
                self.log.append(task.title)
                if task.cell.row == "dies":
                    self.theirs.close()
                    return
                if task.cell.row == "full":
                    self.theirs.send(OSError(28, "No space left on device"))
                elif task.cell.row == "stops":
                    os.kill(os.getpid(), signal.SIGTERM)
                    self.ended.wait(10)
                    self.theirs.send(task.cell)
                else:
                    status = "failed" if task.cell.row == "fails" else "done"
                    self.theirs.send(replace(task.cell, status=status, error="no"))
        except (EOFError, OSError):
            return

    def wait(self, timeout: float | None = None) -> int:
        assert self.ended.is_set()
        return -9


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> list[Pretended]:
    started: list[Pretended] = []
    log: list[str] = []

    def start(jobs: int, path: Path, lock: int | None) -> tuple[Connection, Any]:
        started.append(Pretended(log))
        return started[-1].ours, started[-1]

    monkeypatch.setattr(comparison_jobs, "_start", start)
    return started


def run(given: list[Task], jobs: int = 2) -> list[tuple[str, int, str]]:
    found = run_in_processes(given, range(len(given)), jobs=jobs, log=Path("log.txt"), lock=None)
    return sorted((cell.row, cell.seed, cell.status) for _, cell in found)


def test_a_failed_or_killed_cell_does_not_stop_the_others(
    pretend: list[Pretended], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tasks(tmp_path, "a=random", "dies=random", "fails=random", "b=random")
    assert run(given) == [
        *(("a", 0, "done"), ("a", 1, "done"), ("b", 0, "done"), ("b", 1, "done")),
        *(("fails", 0, "failed"), ("fails", 1, "failed")),
    ]
    # Each cell was begun once, and each process that died has a successor.
    assert sorted(pretend[0].log) == sorted(task.title for task in given)
    assert len(pretend) == 4
    assert all(each.ended.is_set() for each in pretend)
    printed = capsys.readouterr().err
    assert "cut off: dies, seed 0 (exit code -9)" in printed
    assert "failed: fails, seed 1: no" in printed
    assert "6 of 8 " in printed


def test_a_signal_stops_all_and_leaves_the_rest(pretend: list[Pretended], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingStopped) as stopped:
        run(tasks(tmp_path, "stops=random", "a=random"), jobs=1)
    assert stopped.value.number == signal.SIGTERM
    assert all(each.ended.is_set() for each in pretend)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_ends_all(pretend: list[Pretended], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        run(tasks(tmp_path, "a=random", "full=random", "b=random"))
    assert all(each.ended.is_set() for each in pretend)


def test_a_second_comparison_does_not_remove_what_the_first_is_writing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It did: the first then failed with "No such file or directory: ... encoder.safetensors"."""
    out, again = tmp_path / "out", []

    def fit_run(method: str, arguments: Any, **_: Any) -> Fitted:
        monkeypatch.undo()
        monkeypatch.setattr(FolderLock.__init__, "__kwdefaults__", {"patience": 0.0})
        with atomic(arguments.out / "encoder.safetensors") as temporary:
            again.append(main([*words(table, out, "random"), "--resume"]))
            temporary.write_text("whole")
        raise TrainingStopped("as asked", signal.SIGTERM)

    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", fit_run)
    assert main([*words(table, out, "random"), "--resume"]) == 143
    assert again == [2]
    assert f"another process is at work in {out}" in capsys.readouterr().err
    assert (out / "random/seed-0/encoder.safetensors").read_text() == "whole"
    assert set(pd.read_csv(out / "comparison.csv")["status"]) == {"waiting"}
