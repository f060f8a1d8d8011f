"""What a name or path may hold is told before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from unconfound.data.modality import modalities_of
from unconfound.options.data import DataOptions


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        ("demo", {}, {"images"}),
        ("demo", {"rows": True}, {"tables"}),
        ("adult", {}, {"tables"}),
        ("mutag", {}, {"graphs"}),
        ("trec", {}, {"text", "series"}),
        ("pictures", {}, {"images"}),
        ("pictures", {"rows": True}, {"tables"}),
        ("graphs", {}, {"graphs"}),
        ("sounds", {}, {"series"}),
        ("some.csv", {}, {"tables", "text"}),
        ("some.csv", {"text": "said"}, {"text"}),
        ("some.jsonl", {}, {"text"}),
        ("some.npz", {}, {"images", "tables", "series"}),
        ("nothing", {}, {"images", "tables", "graphs", "text", "series"}),
    ],
)
def test_modalities(
    data: str, options: dict[str, object], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pictures/a.png", "graphs/X_A.txt", "graphs/X_graph_indicator.txt", "sounds/one/a.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert modalities_of(DataOptions(data=data, **options)) == expected  # type: ignore[arg-type]
