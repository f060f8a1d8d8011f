"""Comparisons that are stopped or killed at any moment: nothing is lost, and the figures are as if nothing had been."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

from comparison import runs as comparison_runs
from comparison.runs import write_table
from unconfound.comparison import jobs
from unconfound.lock import FolderLock


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "table.csv")


@pytest.fixture(scope="module")
def finished(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that ran through."""
    out = tmp_path_factory.mktemp("finished") / "compare"
    comparison_runs.run(table, out)
    return out


def test_kills_leave_no_trace(context: Any, table: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "compare"
    # Between a training's last checkpoint and its encoder, in the first training of "supervised", before a cell's
    # figures are written, before the tables are.
    for kill, call in (("save_encoder", 1), ("add", 3), ("write_evaluations", 1), ("write_tables", 1)):
        process = context.Process(target=comparison_runs.run, args=(table, out), kwargs={"kill": kill, "call": call})
        process.start()
        process.join(timeout=120)
        assert process.exitcode == -signal.SIGKILL
    process = context.Process(target=comparison_runs.run, args=(table, out))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 0
    assert_same(out, finished)


def test_jobs_that_are_stopped_and_killed_leave_no_trace(
    context: Any, table: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "compare"

    def start(jobs: int) -> Any:
        process = context.Process(target=comparison_runs.run, args=(table, out), kwargs={"jobs": jobs})
        process.start()
        return process

    # As many jobs as cores have a thread each. Asked to stop while the first cells run: what is done is in the tables,
    # and nothing goes on behind our backs.
    cores = joblib.cpu_count()
    process = start(cores)
    wait_for(lambda: found(out, "config.toml"))
    os.kill(process.pid, signal.SIGTERM)
    process.join(timeout=120)
    assert process.exitcode == 143
    with FolderLock(out, patience=0) as lock:
        lock.acquire()
    assert "failed" not in set(pd.read_csv(out / "comparison.csv")["status"])
    # Killed before the last cell is done: its processes end, too, and --resume needs not wait for long.
    process = start(cores)
    wait_for(lambda: len(found(out, "evaluation.json")) >= 3)
    process.kill()
    process.join(timeout=120)
    process = start(1)
    process.join(timeout=120)
    assert process.exitcode == 0
    assert_same(out, finished)


@pytest.mark.parametrize(("said", "code"), [(b"", 1), (b"stop", -signal.SIGTERM)])
def test_a_process_ends_with_the_one_that_started_it(said: bytes, code: int, tmp_path: Path) -> None:
    """At once where that was killed, even while it imports; asked to stop, as by a signal."""
    (tmp_path / "out").mkdir()
    with FolderLock(tmp_path / "out") as lock:
        lock.acquire()
        connection, process = jobs._start(1, tmp_path / "log.txt", lock.descriptor)
    with FolderLock(tmp_path / "out", patience=0) as other, pytest.raises(ValueError, match="another process"):
        other.acquire()
    assert process.stdin is not None
    process.stdin.write(said)
    if not said:
        process.stdin.close()
    assert process.wait(120) == code
    with FolderLock(tmp_path / "out", patience=0) as other:
        other.acquire()
    process.stdin.close()
    connection.close()


def assert_same(out: Path, finished: Path) -> None:
    figures = [
        pd.read_csv(each / "comparison.csv").drop(columns=["training_seconds", "evaluation_seconds"])
        for each in (out, finished)
    ]
    pd.testing.assert_frame_equal(*figures)
    assert not list(out.rglob("*.partial"))
    for name in ("encoder.safetensors", "config.toml"):
        for run in finished.glob("*/seed-*"):
            assert (out / run.relative_to(finished) / name).read_bytes() == (run / name).read_bytes()


def found(out: Path, name: str) -> list[Path]:
    """The files of that name, written by somebody else whose unfinished files come and go."""
    return [
        file
        for run in ("random", "supervised")
        for seed in (0, 1)
        if (file := out / run / f"seed-{seed}" / name).is_file()
    ]


def wait_for(condition: Callable[[], Any], *, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
