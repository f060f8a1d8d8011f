from __future__ import annotations

import errno

import pytest

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
