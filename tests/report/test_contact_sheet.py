"""The sheet of queries and neighbours."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.report.test_browser import BROWSER, measure
from tests.retrieval.conftest import draw_images, save_run
from unconfound import DataOptions, index, load, search
from unconfound.report import contact_sheet
from unconfound.report.contact_sheet import write_contact_sheet
from unconfound.retrieval import Hits


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answers(tmp_path: Path) -> Hits:
    gallery = draw_images(tmp_path / "gallery", each=4)
    # Names are anybody's.
    new = draw_images(tmp_path / "new", classes=("circle", "<b>odd</b>"), each=2, seed=1)
    return search(index(save_run(tmp_path / "run"), gallery, out=tmp_path / "index"), new, neighbours=3)


def sheet(answers: Hits, folder: Path) -> str:
    return write_contact_sheet(folder / "neighbours.html", answers, command="unconfound search <index>").read_text()


def test_hits_misses_names_and_figures_are_told(answers: Hits, tmp_path: Path) -> None:
    page = sheet(answers, tmp_path)
    frame = answers.frame()
    assert page.count('class="hit"') - 1 == frame["hit"].sum()
    assert page.count('class="miss"') - 1 == (~frame["hit"]).sum()
    assert page.count("hit:</span>") == frame["hit"].sum()  # not by colour alone
    assert page.count("<img ") == 4 + 12
    assert page.count("data:image/") == 4 + 12
    assert "&lt;b&gt;odd" in page
    assert "<b>odd" not in page
    assert "unconfound search &lt;index&gt;" in page
    for similarity, distance in zip(frame["similarity"], frame["distance"], strict=True):
        assert f"<small>sim. {similarity:.4f}</small><small>dist. {distance:.3f}</small>" in page
    # The index holds no item of the other two queries' class.
    first = frame.groupby("query", sort=False)["hit"].first().sum() / 2
    assert f"Of 2 queries with items of their class: P@1 {100 * first:.1f} %" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_items_that_are_gone_are_named(answers: Hits, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "gallery")
    page = sheet(answers, tmp_path)
    assert page.count("<img ") == 4
    assert page.count('class="nothing"') == 12
    assert "have no picture" in page
    assert "gallery/<wbr>circle/<wbr>" in page


def test_long_lists_are_cut_and_this_is_said(answers: Hits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "QUERIES", 3)
    monkeypatch.setattr(contact_sheet, "NEIGHBOURS", 2)
    page = sheet(answers, tmp_path)
    assert page.count("<img ") == 3 + 6
    assert "The first 3 of 4 queries" in page
    assert "The nearest 2 of 3 neighbours" in page


def test_embeddings_have_no_pictures(answers: Hits, tmp_path: Path) -> None:
    page = sheet(search(answers.index, torch.eye(16)[:2], neighbours=2), tmp_path)
    assert page.count("<img ") == 4
    assert page.count('class="nothing"') == 2
    assert "of their class" not in page
    assert 'class="hit"' not in page


def test_arrays_are_read_again_for_their_pictures(answers: Hits, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "more.npy", rng.integers(0, 256, (3, 3, 16, 16), dtype=np.uint8))
    made = index(tmp_path / "run", tmp_path / "more.npy", out=tmp_path / "other")
    found = search(made, "more.npy:1", neighbours=2)
    assert sheet(found, tmp_path).count("<img ") == 3
    (tmp_path / "more.npy").unlink()
    assert sheet(found, tmp_path).count("<img ") == 1


@pytest.fixture
def rows(tmp_path: Path) -> Hits:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 80, 9), "work": ["public", "private", "none"] * 3})
    frame["income"] = ["high", "low", "high"] * 3
    frame.to_csv(tmp_path / "table.csv", index=False)
    dataset = load(DataOptions(data="table.csv", label="income"))
    run = save_run(tmp_path / "run", schema=dataset.train.schema, restore=dataset.restore)
    return search(index(run, "table.csv", out=tmp_path / "index"), ["table.csv:2", "table.csv:4"], neighbours=3)


def test_rows_are_shown_as_a_table(rows: Hits, tmp_path: Path) -> None:
    page = sheet(rows, tmp_path)
    assert '<th scope="col">age</th><th scope="col">work</th>' in page
    assert page.count("<td>public</td>") + page.count("<td>private</td>") + page.count("<td>none</td>") == 8
    assert "(query)" in page
    assert "2 queries are in the index" in page


@pytest.mark.skipif(BROWSER is None, reason="no Chromium: install Debian's package chromium to run this test")
@pytest.mark.parametrize(("width", "dark"), [(360, False), (1280, True)], ids=["phone-light", "desk-dark"])
@pytest.mark.parametrize("kind", ["answers", "rows"])
def test_the_sheet_fits_and_loads_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, width: int, dark: bool
) -> None:
    page = sheet(request.getfixturevalue(kind), tmp_path)
    measured = measure(page, tmp_path, width=width, dark=dark)
    assert measured["excess"] <= 0
    assert measured["broken"] == 0
    assert measured["images"] == page.count("<img ")
    assert measured["requests"] == []
    assert measured["unreached"] == 0
    assert measured["smallest"] >= 11
    assert (measured["background"] == "rgb(21, 23, 26)") == dark


def test_texts_are_shown(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("what is it\nwhy <i>so</i>\nwhat for\nwhy not\n")
    dataset = load(DataOptions(data="texts.txt", text="text"))
    run = save_run(tmp_path / "run", schema=dataset.train.schema, restore=dataset.restore)
    page = sheet(search(index(run, "texts.txt", out=tmp_path / "index"), "texts.txt:1", neighbours=2), tmp_path)
    assert "why &lt;i&gt;so&lt;/i&gt;" in page
    assert page.count('class="text"') == 3
