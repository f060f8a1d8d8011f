"""What Windows and macOS lack is done without. They are imitated: what these systems lack is taken away."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from comparison.runs import SMALL, words, write_table

import unconfound
from unconfound import files, lock
from unconfound.cli import main
from unconfound.comparison import run as compare
from unconfound.comparison.rows import rows_of
from unconfound.lock import FolderLock
from unconfound.options.compare import CompareArguments

# Modules of POSIX or Linux alone.
POSIX = re.compile(r"^ *(?:import|from) (fcntl|grp|posix|pwd|resource|termios|tty|pty)\b", re.MULTILINE)


def test_modules_of_posix_are_imported_in_one_place_with_a_way_round() -> None:
    files = Path(unconfound.__file__).parent.rglob("*.py")
    found = [(file.name, name) for file in files for name in POSIX.findall(file.read_text(encoding="utf-8"))]
    assert found == [("lock.py", "fcntl")]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks and syncs of folders, affinity and forks."""
    real = os.open

    def opened(path: Any, flags: int, *rest: Any, **keywords: Any) -> int:
        # `shutil.rmtree` opens folders only where the system lets it.
        if "dir_fd" not in keywords and os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *rest, **keywords)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(lock, "fcntl", None)
    for name in ("sched_getaffinity", "fork", "forkpty", "register_at_fork", "setsid", "killpg"):
        monkeypatch.delattr(os, name, raising=False)


@pytest.mark.usefixtures("elsewhere")
def test_all_commands_run(tmp_path: Path) -> None:
    table, out = write_table(tmp_path / "table.csv"), tmp_path / "run"
    data = ["--data", str(table), "--label", "income"]
    fit = ["fit", "supervised", *data, "--out", str(out), *SMALL]
    for command in (
        fit,
        [*fit, "--overwrite"],
        ["evaluate", str(out)],
        ["embed", str(out), str(table), "--out", str(tmp_path / "embeddings.npy")],
        ["index", str(out), str(table), "--out", str(tmp_path / "index")],
        ["search", str(tmp_path / "index"), str(table), "--out", str(tmp_path / "found")],
        words(table, tmp_path / "compared", "random"),
    ):
        assert main(command) == 0, command
    assert (tmp_path / "compared" / "comparison.csv").is_file()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.usefixtures("elsewhere")
def test_a_lock_of_a_folder_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with FolderLock(folder) as none_yet:
        none_yet.acquire()
    folder.mkdir()
    with FolderLock(folder) as first:
        first.acquire()
        first.acquire()
        with FolderLock(folder, patience=0) as second, pytest.raises(ValueError, match="another process is at work"):
            second.acquire()
        assert not list(folder.iterdir())
    with FolderLock(folder, patience=0) as third:
        third.acquire()


def test_jobs_are_refused_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    arguments = CompareArguments(out=tmp_path / "out", jobs=2)
    with pytest.raises(ValueError, match="--jobs runs cells side by side on Linux and macOS"):
        compare.run_rows(rows_of("random", methods=["random"]), arguments, [], write=lambda *_, **__: None)


def test_machines_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    here = files._machine.__wrapped__()
    assert here == files._machine()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert len(files._machine.__wrapped__()) == len(here)
