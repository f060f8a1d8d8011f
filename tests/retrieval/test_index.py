"""Indices made, added to, taken out of, damaged and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.conftest import SIZE, draw_images, save_run
from unconfound import DataOptions, index, load, load_encoder, open_index, search
from unconfound.data import Schema
from unconfound.evaluation import embed
from unconfound.functional.similarity import normalize
from unconfound.lock import FolderLock
from unconfound.progress import Bars
from unconfound.retrieval import update
from unconfound.retrieval.scores import search_scores


def contents(folder: Path) -> dict[str, tuple[str | None, list[float]]]:
    """The label and embedding of each item, by its name."""
    opened = open_index(folder)
    rows = np.concatenate([*opened.shards, np.empty((0, opened.manifest.features), np.float32)])
    labels = opened.items["label"].to_pylist()
    return {name: (label, row.tolist()) for name, label, row in zip(opened.names, labels, rows, strict=True)}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_an_index_holds_the_embeddings_of_all_samples(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = index(run, images, out=tmp_path / "index", progress=Bars())
    assert len(made) == 10
    assert last_line(capsys) == "10 items added, 0 replaced, 0 removed"
    source = load(DataOptions(data=str(images), test_share=0)).train
    expected = normalize(embed(load_encoder(run), source).features)
    np.testing.assert_allclose(made.rows(np.arange(10)), expected, atol=1e-6)
    assert source.names is not None
    assert made.names == [str(images / name) for name in source.names]
    assert made.items["label"].to_pylist() == ["circle"] * 5 + ["square"] * 5
    assert made.classes == {"circle", "square"}


def test_an_index_is_plain_files_and_needs_the_run_no_longer(run: Path, images: Path, tmp_path: Path) -> None:
    made = index(run, images, out=tmp_path / "index")
    assert {path.rpartition(".")[2] for path in files(made.folder)} == {"json", "npy", "parquet", "safetensors"}
    (array,) = made.folder.glob("*.npy")
    assert np.load(array, allow_pickle=False).dtype == np.float32
    (items,) = made.folder.glob("*.parquet")
    assert list(pd.read_parquet(items)["name"]) == made.names
    shutil.rmtree(run)
    shutil.move(made.folder, tmp_path / "moved")
    assert len(search(tmp_path / "moved", images / "circle/0.png", neighbours=3).frame()) == 3


def test_large_data_are_cut_into_shards_and_small_updates_joined(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "SHARD_BYTES", 4 * 16 * 8)  # eight rows of 16 features
    out = tmp_path / "index"
    assert [len(shard) for shard in index(run, images, out=out).shards] == [8, 2]
    whole = contents(out)
    for number in range(5, 8):
        more = draw_images(tmp_path / f"more {number}", classes=("circle",), each=1, seed=number)
        index(run, more, out=out, add=True)
    # Less than half full, the last shard took the first two of them in.
    assert [shard.rows for shard in open_index(out).manifest.shards] == [8, 4, 1]
    index(out=out, remove=[str(tmp_path / f"more {number}") for number in (5, 6, 7)])
    assert contents(out) == whole
    untouched = open_index(out).manifest.shards[0]
    index(out=out, remove=[str(images / "square/4.png")])
    assert [shard.rows for shard in open_index(out).manifest.shards] == [8, 1]
    assert open_index(out).manifest.shards[0] == untouched
    index(out=out, remove=[str(images / f"circle/{number}.png") for number in range(5)])
    assert [shard.rows for shard in open_index(out).manifest.shards] == [4]


def test_adding_replaces_by_name(run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    more = draw_images(tmp_path / "more", classes=("star",), each=2, seed=5)
    index(run, more, out=out, add=True, progress=Bars())
    assert last_line(capsys) == "2 items added, 0 replaced, 0 removed"
    before = contents(out)
    draw_images(tmp_path / "more", classes=("star",), each=3, seed=6)
    index(run, more, out=out, add=True, progress=Bars())
    assert last_line(capsys) == "1 items added, 2 replaced, 0 removed"
    after = contents(out)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {str(more / "star/0.png"), str(more / "star/1.png")}
    assert set(after) - set(before) == {str(more / "star/2.png")}
    assert after[str(more / "star/2.png")][0] == "star"


def test_items_are_removed_by_name_folder_or_table(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    monkeypatch.chdir(images)
    index(out=out, remove=["circle/1.png", "./square"])
    assert sorted(contents(out)) == [str(images / f"circle/{number}.png") for number in (0, 2, 3, 4)]
    index(run, images, out=out, add=True, remove=["circle"], progress=Bars())
    assert len(contents(out)) == 10
    assert last_line(capsys) == "6 items added, 4 replaced, 0 removed"
    with pytest.raises(ValueError, match=r"holds no item 'circle/9.png': did you mean 'circle/\d.png'\?"):
        index(out=out, remove=["circle/0.png", "circle/9.png"])
    assert len(contents(out)) == 10


def test_the_last_item_may_go_and_an_empty_index_is_not_searched(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    assert len(index(out=out, remove=[str(images)])) == 0
    with pytest.raises(ValueError, match=r"index is empty: add items by unconfound index RUN DATA --out .* --add"):
        search(out, images / "circle/0.png")
    with pytest.raises(ValueError, match="holds no item 'x': it is empty"):
        index(out=out, remove=["x"])
    assert len(index(run, images, out=out, add=True)) == 10


@settings(deadline=None, max_examples=8)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3)), min_size=1, max_size=5
    ),
    capacity=st.integers(1, 4),
)
def test_any_sequence_of_updates_gives_what_a_new_index_would_hold(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, set[str]]], capacity: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update, "SHARD_BYTES", 4 * 16 * capacity)
        room = tmp_path_factory.mktemp("updates")
        run = save_run(room / "run", schema=Schema("tables", (3,)), restore={"kind": "rows", "features": 3})
        table = {name: room / f"{name}.npy" for name in "abcdef"}
        for number, path in enumerate(table.values()):
            np.save(path, np.random.default_rng(number).standard_normal((1 + number % 3, 3)))
        start = room / "start.npy"
        np.save(start, np.eye(3)[:1])
        out, held = room / "index", [start]
        index(run, start, out=out)
        for adding, names in steps:
            for name in sorted(names):
                if adding:
                    index(run, table[name], out=out, add=True)
                    held = [*(folder for folder in held if folder != table[name]), table[name]]
                elif table[name] in held:
                    index(out=out, remove=[str(table[name])])
                    held.remove(table[name])
        anew = room / "anew"
        for folder in held:
            index(run, folder, out=anew, add=anew.exists())
        assert contents(out) == contents(anew)
        assert list(contents(out)) == list(contents(anew))
        referenced = {file.name for file in open_index(out).manifest.files()}
        assert {path.name for path in out.glob("*-*.*")} == referenced


@pytest.mark.parametrize("what", ["embeddings-*.npy", "items-*.parquet", "encoder-*/encoder.safetensors", "index.json"])
@pytest.mark.parametrize("how", ["truncated", "altered", "missing"])
def test_a_damaged_file_is_named(run: Path, images: Path, tmp_path: Path, what: str, how: str) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    (path,) = out.glob(what)
    written = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(written[: len(written) // 2])
    else:
        path.write_bytes(written[:-9] + bytes(255 - byte for byte in written[-9:]))
    with pytest.raises(
        (ValueError, FileNotFoundError), match=path.name if "encoder" not in what else "encoder-"
    ) as told:
        search(out, images / "circle/0.png")
    assert "\n" not in str(told.value)
    assert len(index(run, images, out=out, overwrite=True)) == 10
    assert len(search(out, images / "circle/0.png", neighbours=2).frame()) == 2
    assert len(list(out.iterdir())) == 4


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 2}, "has format 2, this version of unconfound reads 1"),
        ({"items": 9}, "is damaged"),
        ({"features": 17}, "embeddings-.*is damaged"),
        ({"shards": [{}]}, "is damaged"),
        ({"origins": [{"date": 1}]}, r"is damaged \(origins\[0\]\.date is unknown\)"),
        ({"metric": "euclidean"}, "is damaged .*metric must be 'cosine'"),
        ({"encoder": "../run"}, "is damaged .*'../run' is no file of the index"),
    ],
)
def test_a_manifest_that_says_something_else(
    run: Path, images: Path, tmp_path: Path, change: dict[str, object], match: str
) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    said = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps(said | change))
    with pytest.raises(ValueError, match="has format 2" if "format" in change else "its checksum is not that it had"):
        open_index(out)
    # Files of an earlier version have no checksum.
    del said["checksum"]
    (out / "index.json").write_text(json.dumps(said | change))
    with pytest.raises(ValueError, match=match):
        open_index(out)


@pytest.mark.parametrize("what", ["embeddings-*.npy", "items-*.parquet"])
def test_rows_that_are_written_anew_are_not_given_a_checksum_over_damage(
    run: Path, images: Path, tmp_path: Path, what: str
) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    (path,) = out.glob(what)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = files(out)
    for change in ({"remove": [str(images / "circle/0.png")]}, {"run": run, "data": images, "add": True}):
        if what.startswith("embeddings") and "run" in change:
            continue  # all of its rows are replaced
        with pytest.raises(ValueError, match=f"{path.name} is damaged: its checksum is not that it had"):
            index(**change, out=out)
        assert files(out) == before


def test_another_encoder_is_refused(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    before = files(out)
    other = save_run(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match=r"holds embeddings of another encoder \(.{8}\) than that of .*other"):
        index(other, images, out=out, add=True)
    assert files(out) == before
    # The same weights that read their data otherwise give other embeddings.
    shutil.copytree(run, tmp_path / "cropped")
    card = json.loads((run / "encoder.json").read_text())
    del card["checksum"]
    (tmp_path / "cropped/encoder.json").write_text(json.dumps(card | {"restore": {"kind": "images", "image_size": 8}}))
    with pytest.raises(ValueError, match="another encoder"):
        index(tmp_path / "cropped", images, out=out, add=True)
    # What is said of the training is no part of an encoder.
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy/encoder.json").write_text(json.dumps(card | {"provenance": {"copied": True}}))
    assert len(index(tmp_path / "copy", images, out=out, add=True)) == 10
    folder = next(out.glob("encoder-*"))
    shutil.copy(other / "encoder.safetensors", folder)
    with pytest.raises(ValueError, match=f"{folder.name} holds another encoder than the one that made the index"):
        search(out, images / "circle/0.png")


def test_requests_that_contradict_themselves(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    for arguments in ({"run": run}, {"data": images}, {}, {"add": True}):
        with pytest.raises(ValueError, match="index needs a run folder and data"):
            index(**arguments, out=out)
    with pytest.raises(FileNotFoundError, match="holds no index to change: leave --add and --remove out"):
        index(run, images, out=out, add=True)
    with pytest.raises(FileNotFoundError, match="holds no index to change"):
        index(out=out, remove=["a"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        index(run, tmp_path / "nowhere", out=out)
    assert not out.exists()
    index(run, images, out=out)
    before = files(out)
    for arguments, match in (
        ({}, "holds an index: give --add to add to it, or --overwrite to replace it"),
        ({"add": True, "overwrite": True}, "--overwrite replaces the index"),
        ({"remove": ["a"]}, "--remove takes items out of the index: give --add"),
    ):
        with pytest.raises(ValueError, match=match):
            index(run, images, out=out, **arguments)
    assert files(out) == before


def test_a_folder_of_something_else_is_left_alone(run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(
            ValueError, match=r"holds files but no index, chapter.tex for example: choose another --out"
        ):
            index(run, images, out=tmp_path / "thesis", overwrite=overwrite)
    with pytest.raises(ValueError, match="is a file: --out takes a folder"):
        index(run, images, out=tmp_path / "thesis/chapter.tex")
    out = tmp_path / "index"
    index(run, images, out=out)
    (out / "notes.txt").write_text("mine")
    index(run, images, out=out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_data_that_do_not_fit(run: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", images=np.zeros((4, 1, SIZE, SIZE), np.uint8))
    with pytest.raises(ValueError, match=r"grey\.npz holds images of shape .*the encoder takes images of shape"):
        index(run, tmp_path / "grey.npz", out=tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_embeddings_that_are_not_finite_leave_nothing_behind(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = update.embed

    def broken(encoder: Callable[[object], torch.Tensor], *rest: object, **options: object) -> object:
        return whole(lambda inputs: encoder(inputs) * torch.nan, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(update, "embed", broken)
    with pytest.raises(ValueError, match="embeddings of images are not finite"):
        index(run, images, out=tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_one_writer_at_a_time(run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    index(run, images, out=out)
    monkeypatch.setattr("unconfound.lock.FolderLock", lambda folder: FolderLock(folder, patience=0))
    with FolderLock(out) as lock:
        lock.acquire()
        with pytest.raises(ValueError, match="another process is at work in"):
            index(run, images, out=out, add=True)
        assert len(search(out, images / "circle/0.png", neighbours=2).frame()) == 2
    index(run, images, out=out, add=True)


def test_an_open_index_outlives_an_update(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    opened = index(run, images, out=out)
    index(out=out, remove=[str(images / "circle")])
    assert len(search(opened, images / "circle/0.png", neighbours=9).frame()) == 9
    assert len(search(out, images / "circle/0.png", neighbours=9).frame()) == 5


def test_arrays_with_splits_are_named_by_split_and_position(run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 3, SIZE, SIZE), dtype=np.uint8)
    path = tmp_path / "images.npz"
    np.savez(
        path, images=images[:4], labels=np.array([0, 1, 0, 1]), test_images=images[4:], test_labels=np.array([0, 1])
    )
    made = index(run, path, out=tmp_path / "index")
    assert made.names == [f"{path}:{name}" for name in ("train:0", "train:1", "train:2", "train:3", "test:0", "test:1")]
    frame = search(made, f"{path}:test:1", neighbours=9).frame()
    assert len(frame) == 5
    assert f"{path}:test:1" not in set(frame["item"])


def test_unlabelled_rows_of_a_table(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((7, 5)))
    run = save_run(tmp_path / "run", schema=Schema("tables", (5,)), restore={"kind": "rows", "features": 5})
    made = index(run, tmp_path / "rows.npy", out=tmp_path / "index")
    assert made.items["label"].to_pylist() == [None] * 7
    assert made.names[3] == f"{tmp_path / 'rows.npy'}:3"
    answers = search(made, str(tmp_path / "rows.npy"), neighbours=2)
    assert answers.frame()["hit"].isna().all()
    assert search_scores(answers) == {}
    assert answers.own == 7
