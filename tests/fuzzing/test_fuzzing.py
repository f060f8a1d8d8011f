"""Each kind of file, damaged 100 times: it is read, or refused in one line with its name. See also `__main__`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .damage import SPLICED, damaged
from .harness import Kind, faults
from .kinds import KINDS

CASES = 100


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damage_is_read_or_refused_in_one_line(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    found = faults(kind, tmp_path / "data", range(CASES))
    assert not found, f"{len(found)} of {CASES}: {'; '.join(found[:5])}"


def test_damage_is_the_same_each_time_and_of_many_kinds() -> None:
    content = bytes(range(256)) * 4
    made = [damaged(content, case) for case in range(200)]
    assert made == [damaged(content, case) for case in range(200)]
    assert len(set(made)) > 190
    assert any(len(each) < len(content) for each in made)
    assert any(splice in each for each in made for splice in SPLICED[:3])


def _kind(read: object, *, sealed: bool = False) -> Kind:
    def make(folder: Path) -> Path:
        (folder / "a.txt").write_text("0123456789" * 10)
        return folder / "a.txt"

    return Kind("made", make, read, sealed=sealed)  # type: ignore[arg-type]


def _refuse(error: Exception) -> object:
    def read(path: Path) -> str:
        if path.read_bytes() != b"0123456789" * 10:
            raise error
        return ""

    return read


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no name"), "does not name a.txt"),
        (ValueError("a.txt\nof two lines"), "of several lines"),
        (KeyError("a.txt"), "KeyError"),
        (MemoryError("a.txt"), "MemoryError"),
        (RecursionError("a.txt"), "RecursionError"),
    ],
)
def test_each_fault_is_found(error: Exception, said: str, tmp_path: Path) -> None:
    (fault,) = faults(_kind(_refuse(error)), tmp_path, [1])
    assert said in fault


@pytest.mark.parametrize(
    "error", [ValueError("a.txt"), TypeError("a.txt"), OSError("a.txt"), FileNotFoundError("a.txt")]
)
def test_a_refusal_that_names_the_file_is_none(error: Exception, tmp_path: Path) -> None:
    assert not faults(_kind(_refuse(error)), tmp_path, range(20))


def test_a_checksum_that_does_not_see_damage_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults(_kind(Path.read_bytes, sealed=True), tmp_path, [1])
    assert "used without a word" in fault


def test_memory_that_a_file_asks_for_is_bounded(tmp_path: Path) -> None:
    def read(path: Path) -> bytes:
        return path.read_bytes() and bytes(10 if path.stat().st_size == 100 else 2**45)

    (fault,) = faults(_kind(read), tmp_path, [1])
    assert "MemoryError" in fault
