from __future__ import annotations

import pytest

from unconfound.lock import FolderLock, alone_in


def test_a_folder_is_checked_before_it_is_made_and_again_under_the_lock(tmp_path):
    seen = []
    folder = tmp_path / "a/b"
    with alone_in(folder, lambda: seen.append(folder.is_dir())):
        (folder / "file").touch()
    assert seen == [False, True]
    assert (folder / "file").is_file()


def test_a_folder_in_which_nothing_was_written_is_removed_again(tmp_path):
    with pytest.raises(ValueError, match="no"), alone_in(tmp_path / "a/b", lambda: None):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_a_refused_folder_is_not_made(tmp_path):
    def refuse() -> None:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"), alone_in(tmp_path / "a", refuse):
        pass
    assert not list(tmp_path.iterdir())


def test_one_process_at_a_time(tmp_path, monkeypatch):
    with alone_in(tmp_path / "a", lambda: None):
        other = FolderLock(tmp_path / "a", patience=0)
        with pytest.raises(ValueError, match="another process is at work"), other:
            other.acquire()
