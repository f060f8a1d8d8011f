from __future__ import annotations

import errno
import os
import shutil
import signal
import time

import pytest

from unconfound import files
from unconfound.files import atomic, write_text


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_under_its_name(tmp_path):
    path = tmp_path / "new" / "deep" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.name == path.name  # some writers add a suffix, or look at it
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert _names(path.parent) == ["file.txt"]


def test_a_file_is_replaced_and_has_the_usual_permissions(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    write_text(path, "nöw\n")
    assert path.read_bytes() == "nöw\n".encode()
    usual = tmp_path / "usual.txt"
    usual.write_text("")
    assert path.stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_failure_midway_keeps_the_old_file_and_leaves_nothing_behind(error, tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(type(error)), atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("ha")
        raise error
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["file.txt"]


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "file.txt"):
        pass
    assert _names(tmp_path) == []


def test_a_folder_appears_whole_and_is_replaced(tmp_path):
    path = tmp_path / "cache"
    for text in ("first", "second"):
        with atomic(path, folder=True) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / text).write_text(text)
        assert _names(path / "deep") == [text]
        assert _names(tmp_path) == ["cache"]


def test_a_folder_that_fails_midway_keeps_the_old_one(tmp_path):
    path = tmp_path / "cache"
    with atomic(path, folder=True) as temporary:
        (temporary / "old").write_text("")
    with pytest.raises(RuntimeError, match="midway"), atomic(path, folder=True) as temporary:  # noqa: PT012
        (temporary / "new").write_text("")
        raise RuntimeError("midway")
    assert _names(path) == ["old"]
    assert _names(tmp_path) == ["cache"]


def _write_and_wait(path):
    """Begin to write in a process of its own, which then does nothing; return its id once it has begun."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with atomic(path) as temporary:
            temporary.write_text("half")
            os.write(write, b"x")
            while True:
                time.sleep(60)
    os.close(write)
    assert os.read(read, 1) == b"x"
    os.close(read)
    return child


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    for _ in range(3):
        dead, alive = (_write_and_wait(tmp_path / name) for name in ("killed.npy", "alive.npy"))
        try:
            write_text(tmp_path / "other.txt", "")
            assert sum(name.endswith(".partial") for name in _names(tmp_path)) == 2
            os.kill(dead, signal.SIGKILL)
            os.waitpid(dead, 0)
            # By whatever is written next to it.
            write_text(tmp_path / "other.txt", "")
            (left,) = (name for name in _names(tmp_path) if name.endswith(".partial"))
            assert left.startswith(".alive.npy.")
        finally:
            os.kill(alive, signal.SIGKILL)
            os.waitpid(alive, 0)
    write_text(tmp_path / "other.txt", "")
    assert _names(tmp_path) == ["other.txt"]


def test_what_other_machines_and_other_programs_left_stays(tmp_path, monkeypatch):
    others = [".file.npy.0123456789ab-abcdefgh.partial", ".file.partial", "file.npy.partial", ".file.npy.tmp"]
    for name in others:
        (tmp_path / name).mkdir()
    write_text(tmp_path / "file.npy", "")
    assert _names(tmp_path) == sorted([*others, "file.npy"])
    # Nor is anything removed where locks are not known: whether its writer lives cannot be told.
    ours = tmp_path / f".file.npy.{files._machine()}-abcdefgh.partial"
    ours.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(files, "try_lock", lambda _: None)
        write_text(tmp_path / "file.npy", "")
    assert ours.is_dir()
    write_text(tmp_path / "file.npy", "")
    assert not ours.exists()


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked", "while it is being removed"])
def test_a_folder_that_is_taken_for_abandoned_before_it_is_locked_is_made_anew(moment, tmp_path, monkeypatch):
    made, open_folder, try_lock = [], files._open_folder, files.try_lock

    def opened(path):
        made.append(path)
        if len(made) == 1 and moment == "before it is opened":
            shutil.rmtree(path)
        return open_folder(path)

    def locked(descriptor):
        if len(made) == 1 and moment == "before it is locked":
            shutil.rmtree(made[0])
        return not (len(made) == 1 and moment == "while it is being removed") and try_lock(descriptor)

    monkeypatch.setattr(files, "_open_folder", opened)
    monkeypatch.setattr(files, "try_lock", locked)
    with atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "file.txt").read_text() == "whole"
    assert made[1].name != made[0].name


def test_a_file_system_that_syncs_no_folders(tmp_path, monkeypatch):
    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "file.txt", "whole")
    assert _names(tmp_path) == ["file.txt"]
