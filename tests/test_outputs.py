"""What is there already is not replaced unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from unconfound.outputs import check_output_file, entries, remove_half_written


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    file = tmp_path / "neighbours.html"
    check_output_file(file, overwrite=False)
    file.write_text("mine")
    check_output_file(file, overwrite=True)
    with pytest.raises(
        ValueError, match=r"neighbours.html is there already: choose another --out, or give --overwrite"
    ):
        check_output_file(file, overwrite=False)
    with pytest.raises(ValueError, match=r"--out .*neighbours.html must end in .npy or .parquet"):
        check_output_file(file, suffixes=(".npy", ".parquet"), overwrite=True)


def test_what_is_half_written_does_not_count(tmp_path: Path) -> None:
    assert entries(tmp_path / "nothing") == []
    (tmp_path / "a").mkdir()
    for folder in (tmp_path, tmp_path / "a"):
        (folder / ".state.pt.0-1.partial").mkdir()
    assert entries(tmp_path) == [tmp_path / "a"]
    remove_half_written(tmp_path)
    assert [path.parent.name for path in tmp_path.rglob("*.partial")] == ["a"]
    remove_half_written(tmp_path, within=True)
    assert not list(tmp_path.rglob("*.partial"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="file is a file: --out takes a folder"):
        entries(tmp_path / "file")
