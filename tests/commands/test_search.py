"""`unconfound index` and `unconfound search` as a user types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.retrieval.conftest import draw_images, save_run
from unconfound.cli import main

Mistake = Callable[[list[str], str], None]


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run, a gallery and an index of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    save_run(Path("run"))
    draw_images(Path("gallery"))
    draw_images(Path("new"), each=2, seed=1)
    assert main(["index", "run", "gallery", "--out", "kept"]) == 0
    return tmp_path


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Mistake:
    """Run a command that must fail with one line."""

    def run(arguments: list[str], expected: str) -> None:
        capsys.readouterr()
        assert main(arguments) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unconfound: error: ")]
        assert len(lines) == 1
        assert expected in lines[0]

    return run


def test_index_and_search(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "kept", "gallery/circle/1.png", "new", "--neighbours", "4", "--out", "found"]) == 0
    printed = capsys.readouterr().out
    assert "Nearest in kept by cosine similarity" in printed
    assert "Next: open found/neighbours.html" in printed
    scores = json.loads(Path("found/scores.json").read_text())
    assert scores["queries"] == 5
    assert f"Of 5 queries with items of their class: P@1 {100 * scores['precision_at_1']:.1f} %" in printed.replace(
        "\n", " "
    )
    frame = pd.read_parquet("found/neighbours.parquet")
    assert list(frame.columns) == ["query", "rank", "item", "label", "similarity", "distance", "hit"]
    assert frame["query"].unique().tolist() == [
        "gallery/circle/1.png",
        "new/circle/0.png",
        "new/circle/1.png",
        "new/square/0.png",
        "new/square/1.png",
    ]
    assert len(frame) == 20
    assert frame["hit"].dtype == "boolean"
    page = Path("found/neighbours.html").read_text()
    assert "unconfound search kept gallery/circle/1.png new --neighbours 4 --out found" in page
    assert page.count("<img ") == 25


def test_add_and_remove(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "run", "new", "--out", "kept", "--add"]) == 0
    captured = capsys.readouterr()
    assert "14 items are in kept" in captured.out
    assert "4 items added, 0 replaced, 0 removed" in captured.err
    assert main(["index", "--out", "kept", "--remove", "new/circle/0.png", "gallery/square"]) == 0
    assert "8 items are in kept" in capsys.readouterr().out
    assert main(["index", "run", "gallery", "--out", "kept", "--add", "--remove", "new"]) == 0
    assert "10 items are in kept" in capsys.readouterr().out
    # Without --out only the terminal's table is written.
    before = sorted(Path().iterdir())
    assert main(["search", "kept", "new/circle/0.png"]) == 0
    assert sorted(Path().iterdir()) == before


def test_mistakes(room: Path, mistake: Mistake) -> None:
    save_run(Path("other"), seed=1)
    Path("broken.png").write_text("no image")
    (Path("found")).mkdir()
    (Path("found") / "neighbours.html").write_text("mine")
    query = "new/circle/0.png"
    for arguments, expected in (
        (["index", "run"], "--out"),
        (["index", "run", "--out", "other index"], "index needs a run folder and data"),
        (["index", "run", "new", "--out", "kept"], "kept holds an index: give --add"),
        (["index", "other", "new", "--out", "kept", "--add"], "holds embeddings of another encoder"),
        (["index", "run", "new", "--out", "new"], "new holds files but no index"),
        (["index", "nowhere", "new", "--out", "other index"], "nowhere holds no encoder.json"),
        (["index", "run", "nowhere", "--out", "other index"], "no file, folder or data set 'nowhere'"),
        (["index", "--out", "kept", "--remove", "gallery/circle/7.png"], "did you mean 'gallery/circle/"),
        (["search", "nowhere", query], "nowhere holds no index.json: make an index by unconfound index"),
        (["search", "kept"], "search needs a query"),
        (["search", "kept", "none.png"], "no query 'none.png'"),
        (["search", "kept", "broken.png"], "broken.png is no image that can be read"),
        (["search", "kept", query, "--neighbours", "0"], "neighbours must be at least 1, got 0"),
        (["search", "kept", query, "--backend", "annoy"], "--backend"),
        (["search", "kept", query, "--out", "found"], "neighbours.html is there already"),
    ):
        mistake(arguments, expected)
    assert not Path("other index").exists()
    (array,) = Path("kept").glob("*.npy")
    array.write_bytes(array.read_bytes()[:-40])
    mistake(["search", "kept", query], f"{array} is truncated: it has 728 bytes instead of 768")
    assert main(["index", "run", "gallery", "--out", "kept", "--overwrite"]) == 0
    assert main(["index", "--out", "kept", "--remove", "gallery"]) == 0
    mistake(["search", "kept", query], "kept is empty: add items by unconfound index RUN DATA --out kept --add")


def test_an_encoder_of_unseen_classes(room: Path) -> None:
    draw_images(Path("many"), classes=("a", "b", "c", "d"), each=4, seed=2)
    flags = ["--data", "many", "--unseen-classes", "--encoder", "convnet", "--width", "4", "--epochs", "1"]
    assert main(["fit", "supervised", *flags, "--batch-size", "4", "--out", "trained", "--precision", "32"]) == 0
    assert main(["index", "trained", "many", "--out", "index"]) == 0
    shutil.rmtree("trained")
    assert main(["search", "index", "many", "--neighbours", "3", "--out", "found"]) == 0
    frame = pd.read_parquet("found/neighbours.parquet")
    assert len(frame) == 48
    assert set(frame["label"]) == {"a", "b", "c", "d"}
    assert frame["hit"].notna().all()
    assert np.isfinite(frame["distance"]).all()
