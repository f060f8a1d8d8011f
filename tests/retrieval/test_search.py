"""Queries of every form, and what is found for them."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.retrieval.conftest import SIZE, draw_images, save_run
from unconfound import DataOptions, index, load, load_encoder, search
from unconfound.data import Schema
from unconfound.evaluation import embed, terminal_table
from unconfound.retrieval import Index
from unconfound.retrieval.hits_table import hits_table


@pytest.fixture
def made(run: Path, images: Path, tmp_path: Path) -> Index:
    return index(run, images, out=tmp_path / "index")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 80, 30), "income": ["high", "low"] * 15})
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


@pytest.fixture
def rows(table: Path, tmp_path: Path) -> Index:
    dataset = load(DataOptions(data=str(table), label="income"))
    schema = dataset.train.schema
    run = save_run(tmp_path / "rows", schema=schema, restore=dataset.restore)
    return index(run, table, out=tmp_path / "rows index")


def full_search(run: Path, queries: Path, gallery: Path, neighbours: int) -> list[list[str]]:
    """Names of the nearest, by the whole matrix of cosines in float64."""
    sides = []
    for folder in (queries, gallery):
        source = load(DataOptions(data=str(folder), test_share=0)).train
        features = embed(load_encoder(run), source).features.double()
        sides.append(
            (features / features.norm(dim=1, keepdim=True), [str(folder / name) for name in source.names or ()])
        )
    (asked, _), (known, names) = sides
    order = (-(asked @ known.T)).argsort(dim=1, stable=True)[:, :neighbours]
    return [[names[place] for place in row] for row in order.tolist()]


def test_finds_what_the_whole_matrix_of_similarities_says(
    run: Path, images: Path, made: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    new = draw_images(tmp_path / "new", each=4, seed=3)
    frame = search(made, new, neighbours=6).frame()
    found = [[str(tmp_path / item) for item in group["item"]] for _, group in frame.groupby("query", sort=False)]
    assert found == full_search(run, new, images, 6)
    assert list(frame.columns) == ["query", "rank", "item", "label", "similarity", "distance", "hit"]
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5, 6] * 8
    assert frame["query"].iloc[0] == "new/circle/0.png"
    expected = (frame["query"].str.split("/").str[1] == frame["label"]).tolist()
    assert frame["hit"].tolist() == expected
    np.testing.assert_allclose(frame["distance"], np.sqrt(2 - 2 * frame["similarity"].astype(float)), atol=1e-3)
    for _, group in frame.groupby("query"):
        assert group["similarity"].is_monotonic_decreasing


def test_files_folders_and_embeddings_give_the_same(run: Path, made: Index, tmp_path: Path) -> None:
    new = draw_images(tmp_path / "new", each=2, seed=3)
    by_folder = search(made.folder, new, neighbours=4).frame()
    files = [new / name for name in ("circle/0.png", "circle/1.png", "square/0.png", "square/1.png")]
    by_file = search(str(made.folder), files, neighbours=4).frame()
    pd.testing.assert_frame_equal(by_folder, by_file, rtol=1e-5)
    source = load(DataOptions(data=str(new), test_share=0)).train
    by_embedding = search(made, embed(load_encoder(run), source).features * 7, neighbours=4)
    assert by_embedding.frame()["item"].tolist() == by_file["item"].tolist()
    assert by_embedding.frame()["hit"].isna().all()


def test_a_query_that_is_an_item_is_left_out_of_its_neighbours_but_its_copy_is_not(
    images: Path, made: Index, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    answers = search(made, ["circle/0.png", "square/1.png"], neighbours=10)
    assert answers.own == 2
    frame = answers.frame()
    assert frame.groupby("query").size().tolist() == [9, 9]
    assert "circle/0.png" not in set(frame[frame["query"] == "circle/0.png"]["item"])
    copy = tmp_path / "copy/circle/0.png"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((images / "circle/0.png").read_bytes())
    index(run, copy.parent, out=made.folder, add=True)
    first = search(made.folder, "circle/0.png", neighbours=1).frame().iloc[0]
    assert first["item"] == str(copy)
    assert first["distance"] == pytest.approx(0, abs=1e-6)
    assert first["similarity"] == pytest.approx(1)
    assert first["similarity"] <= 1


def test_fewer_items_than_neighbours(made: Index, tmp_path: Path) -> None:
    new = draw_images(tmp_path / "new", each=1, seed=3)
    answers = search(made, new, neighbours=99)
    assert answers.positions.shape == (2, 10)
    mixed = search(made, [new / "circle/0.png", made.names[0]], neighbours=99)
    assert mixed.positions.shape == (2, 10)
    assert (mixed.positions[1] == -1).tolist() == [False] * 9 + [True]
    assert np.isnan(mixed.similarities[1, 9])
    assert np.isnan(mixed.distances[1, 9])
    assert len(mixed.frame()) == 19
    assert (mixed.hits()[1] >= 0).tolist() == [True] * 9 + [False]


def test_images_of_other_sizes_are_read_as_the_encoders_were(made: Index, images: Path, tmp_path: Path) -> None:
    large = Image.open(images / "circle/2.png").resize((5 * SIZE, 3 * SIZE)).convert("RGBA")
    # The class of a file is its folder's where the index knows that one.
    for folder, label in (("square", "square"), ("star", None)):
        (tmp_path / folder).mkdir()
        large.save(tmp_path / folder / "a.png")
        by_file, by_folder = search(made, tmp_path / folder / "a.png"), search(made, tmp_path / folder)
        assert by_file.labels == by_folder.labels == [label]
        np.testing.assert_array_equal(by_file.positions, by_folder.positions)
        np.testing.assert_allclose(by_file.similarities, by_folder.similarities, rtol=1e-6)


def test_rows_of_a_table(table: Path, rows: Index, tmp_path: Path) -> None:
    frame = search(rows, f"{table}:12", neighbours=29).frame()
    assert set(frame["query"]) == {f"{table}:12"}
    assert set(frame["item"]) == {f"{table}:{row}" for row in range(30) if row != 12}
    assert frame["hit"].tolist() == [label == "high" for label in frame["label"]]
    new = tmp_path / "new.csv"
    pd.read_csv(table).drop(columns="income").head(3).to_csv(new, index=False)
    answers = search(rows, new, neighbours=1)
    assert answers.names == [f"{new}:0", f"{new}:1", f"{new}:2"]
    assert answers.frame()["hit"].isna().all()
    assert answers.distances.max() < 1e-6
    both = search(rows, [f"{new}:2", f"{new}:0"], neighbours=1)
    assert both.names == [f"{new}:2", f"{new}:0"]


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("none.png", "no query 'none.png': no such file, folder or data set is there; give an image file"),
        ("notes.md", "notes.md is of no known kind"),
        ("notes.txt", "notes.txt holds text of shape .* the encoder takes images"),
        ("broken.png", r"broken.png is no image that can be read \(not an image, or damaged at its beginning\)"),
        ("cut.png", r"cut.png is no image that can be read"),
        ("empty", "empty holds no image"),
        ("pixels.npy", "pixels.npy holds tables of shape"),
        ("images.npz:4", "'images.npz:4' is not there: rows are 0 to 3"),
        ("images.npz:one", "no query 'images.npz:one': 'one' is no row"),
        ("images.npz:test:0", "'images.npz:test:0' names no split: use train"),
    ],
)
def test_queries_that_cannot_be_read(
    query: str, match: str, made: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("notes.md", "notes.txt", "broken.png"):
        Path(name).write_text("no image\n")
    Path("cut.png").write_bytes(Path(made.names[0]).read_bytes()[:300])
    Path("empty").mkdir()
    np.save("pixels.npy", np.zeros((4, 7)))
    np.savez("images.npz", images=np.zeros((4, 3, SIZE, SIZE), np.uint8))
    with pytest.raises((ValueError, FileNotFoundError), match=match) as told:
        search(made, [made.names[0], query])
    assert "\n" not in str(told.value)


def test_an_image_for_an_encoder_of_rows(rows: Index, images: Path) -> None:
    with pytest.raises(ValueError, match=r"circle/0\.png is an image, the encoder takes tables: give an image file"):
        search(rows, images / "circle/0.png")


def test_rows_of_pixels_take_image_files(images: Path, tmp_path: Path) -> None:
    restore = {"kind": "pixel-rows", "image_size": SIZE, "channels": 3}
    run = save_run(tmp_path / "pixels", schema=Schema("tables", (3 * SIZE * SIZE,)), restore=restore)
    made = index(run, images, out=tmp_path / "index")
    by_file = search(made, images / "circle/0.png", neighbours=3)
    assert by_file.own == 1
    by_folder = search(made, images, neighbours=3)
    np.testing.assert_array_equal(by_file.positions[0], by_folder.positions[0])


@pytest.mark.parametrize("queries", [torch.zeros(2, 7), torch.full((2, 16), torch.nan)])
def test_embeddings_that_do_not_fit(queries: torch.Tensor, made: Index) -> None:
    match = "queries must be finite" if queries.shape[1] == 16 else "queries have 7 features, .* holds embeddings of 16"
    with pytest.raises(ValueError, match=match):
        search(made, queries)


def test_numbers_out_of_range(made: Index) -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        search(made, made.names[0], neighbours=0)
    with pytest.raises(ValueError, match="search needs a query: give an image file"):
        search(made, [])


def test_backends_give_the_same(made: Index, tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    new = draw_images(tmp_path / "new", each=4, seed=3)
    ours, theirs = (search(made, new, neighbours=5, backend=backend) for backend in ("exact", "faiss"))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(ours.frame(), theirs.frame())
    assert (ours.backend, theirs.backend) == ("exact", "faiss")


def test_the_terminal_table(made: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.chdir(tmp_path)
    new = draw_images(tmp_path / "new", classes=("[red]circle", "square"), each=4, seed=3)
    console = Console(width=100, record=True, file=StringIO())
    console.print(terminal_table(hits_table(search(made, new, neighbours=2))))
    lines = console.export_text().splitlines()
    assert lines[0].startswith("Nearest in ")
    assert "the first 5 of 8 queries" in " ".join(lines[:2])
    text = "\n".join(lines)
    assert "new/[red]circle/0.png" in text
    assert len(re.findall(r"\b(hit|miss)\b", text)) == 10
    assert max(map(len, lines)) <= 100
