from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from unconfound.documents import read_json, read_sealed, read_toml, sealed

VALUES = {"format": 1, "name": "größer", "sizes": (3, 16), "deep": {"10": 1, "9": None}, "share": 0.1, "odd": math.inf}


def _written(path: Path, values: dict[str, object]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, object]:
    return read_sealed(path, format=1, remedy="make it anew")


def test_sealed_values_come_back(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.json", sealed(VALUES))
    assert {"format": 1, **_read(path)} == {**VALUES, "sizes": [3, 16]}
    assert list(json.loads(path.read_text())) == [*VALUES, "checksum"]


def test_the_order_of_names_and_the_layout_say_nothing(tmp_path: Path) -> None:
    said = sealed(VALUES)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(dict(reversed(said.items())), indent=7, ensure_ascii=False), encoding="utf-8")
    assert _read(path)["name"] == "größer"


def test_numbers_as_names_are_sealed_as_the_texts_that_they_become(tmp_path: Path) -> None:
    assert _read(_written(tmp_path / "a.json", sealed({"format": 1, 10: "a", 9: "b"}))) == {"10": "a", "9": "b"}


@pytest.mark.parametrize(
    "change", [{"share": 0.2}, {"share": None}, {"new": 1}, {"sizes": [16, 3]}, {"checksum": "0"}, {"checksum": None}]
)
def test_a_change_is_refused_in_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    path = _written(tmp_path / "a.json", sealed(VALUES) | change)
    with pytest.raises(ValueError, match=r"a\.json is damaged \(its checksum is not that it had\): make it anew$"):
        _read(path)


def test_a_file_of_an_earlier_version_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    assert _read(_written(tmp_path / "a.json", VALUES))["share"] == 0.1


@pytest.mark.parametrize("values", [{"format": 2}, sealed({"format": 2})])
def test_another_format_is_named(tmp_path: Path, values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a\.json has format 2, this version of unconfound reads 1"):
        _read(_written(tmp_path / "a.json", values))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000])
def test_what_is_no_json_is_refused_in_one_short_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is damaged \(.+\): make it anew$") as told:
        read_json(tmp_path / "a.json", remedy="make it anew")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("content", [b"=", b"a = \xff", b"a = " + b"[" * 100_000, b"a = 1979-13-40", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ValueError, match=r"recipe .*a\.toml cannot be read: it is not TOML \(.+\)$") as told:
        read_toml(tmp_path / "a.toml", kind="recipe")
    assert "\n" not in str(told.value)
