"""Every kind of data goes through every command: train, stop, go on, judge, embed."""

from __future__ import annotations

import itertools
import json
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import unconfound.runs
from unconfound.cli import main
from unconfound.data.load import DataOptions, load_dataset
from unconfound.training.stop import StopRequest


def _images(folder):
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(40) % 2)
    return ["--data", str(folder / "images.npz"), "--encoder", "convnet", "--depth", "2"]


def _rows(folder):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 80, 40), "work": rng.choice(["a", "b", "c"], 40)})
    frame.assign(label=np.where(frame.age > 50, "old", "young")).to_csv(folder / "rows.csv", index=False)
    return ["--data", str(folder / "rows.csv"), "--label", "label"]


def _graphs(folder):
    sizes = 3 + np.arange(40) % 4
    first = sizes.cumsum() - sizes
    rings = [
        (start + np.arange(size), start + (np.arange(size) + 1) % size)
        for start, size in zip(first, sizes, strict=True)
    ]
    edges = np.concatenate([np.stack(pair, 1) for ring in rings for pair in (ring, ring[::-1])]) + 1
    np.savetxt(folder / "TOY_A.txt", edges, fmt="%d", delimiter=", ")
    np.savetxt(folder / "TOY_graph_indicator.txt", np.repeat(np.arange(40), sizes) + 1, fmt="%d")
    np.savetxt(folder / "TOY_graph_labels.txt", np.arange(40) % 2, fmt="%d")
    np.savetxt(folder / "TOY_node_labels.txt", np.arange(sizes.sum()) % 3, fmt="%d")
    return ["--data", str(folder), "--depth", "2"]


def _text(folder):
    words = ["red", "green", "blue", "loud", "quiet"]
    rng = np.random.default_rng(0)
    lines = [{"text": " ".join(rng.choice(words, 3 + row % 5)), "label": "ab"[row % 2]} for row in range(40)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["--data", str(folder / "texts.jsonl"), "--text", "text", "--label", "label"]


def _series(folder):
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 40)
    np.savez(
        folder / "series.npz", series=rng.normal(size=(lengths.sum(), 2)), lengths=lengths, labels=np.arange(40) % 2
    )
    return ["--data", str(folder / "series.npz"), "--encoder", "gru"]


KINDS = {"images": _images, "tables": _rows, "graphs": _graphs, "text": _text, "series": _series}
SMALL = ["--width", "8", "--epochs", "2", "--batch-size", "8", "--precision", "32", "--device", "cpu"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_trained_stopped_resumed_judged_and_embedded(kind, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    data = KINDS[kind](tmp_path / "data")
    assert load_dataset(DataOptions(data=data[1])).train.schema.modality == kind
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["fit", "dacl", *data, *SMALL, "--out", str(whole)]) == 0

    asked = itertools.count(1)
    with monkeypatch.context() as patch:
        # As if Ctrl-C came in the second epoch.
        patch.setattr(
            StopRequest,
            "requested",
            raising=False,
            value=property(lambda self: next(asked) == 6, lambda self, value: None),
        )
        assert main(["fit", "dacl", *data, *SMALL, "--out", str(parts)]) == 128 + signal.SIGTERM
    assert not (parts / "encoder.json").exists()
    assert main(["fit", "dacl", *data, *SMALL, "--out", str(parts), "--resume"]) == 0
    assert (parts / "encoder.safetensors").read_bytes() == (whole / "encoder.safetensors").read_bytes()

    assert main(["evaluate", str(whole)]) == 0
    judged = json.loads((whole / "evaluation.json").read_text())["evaluations"][0]
    assert set(judged["tests"]) == {"cross-validation" if kind == "graphs" else "test"}
    assert (whole / "report.html").stat().st_size > 10_000

    out = tmp_path / "embeddings.parquet"
    assert main(["embed", str(whole), data[1], "--out", str(out)]) == 0
    table = pd.read_parquet(out)
    assert len(table) == 40
    assert np.isfinite(np.stack(table["embedding"])).all()
    assert "Traceback" not in capsys.readouterr().err


def test_an_encoder_of_one_kind_refuses_data_of_another(tmp_path, capsys):
    for kind in ("graphs", "text"):
        (tmp_path / kind).mkdir()
    text, graphs = _text(tmp_path / "text"), _graphs(tmp_path / "graphs")
    assert main(["fit", "random", *text, *SMALL, "--out", str(tmp_path / "run")]) == 0
    assert main(["embed", str(tmp_path / "run"), graphs[1], "--out", str(tmp_path / "out.npy")]) == 2
    error = capsys.readouterr().err.strip()
    assert "holds graphs" in error
    assert "takes text" in error
    assert not (tmp_path / "out.npy").exists()


def test_an_array_of_three_axes_is_read_as_series_on_request(tmp_path):
    np.save(tmp_path / "walks.npy", np.random.default_rng(0).normal(size=(12, 7, 3)))
    series = load_dataset(DataOptions(data=str(tmp_path / "walks.npy"), series=True)).train
    assert (series.schema.modality, series.schema.shape) == ("series", (3,))


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_a_run_of_its_kind_and_needs_that_no_more_once_begun(kind, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    data = KINDS[kind](tmp_path / "data")
    assert main(["fit", "dacl", *data, *SMALL, "--out", str(tmp_path / "first")]) == 0
    before = load_file(tmp_path / "first" / "encoder.safetensors")
    # The data are those of the run, and so are the sizes of the encoder.
    words = ["fit", "supervised", "--from", str(tmp_path / "first"), *SMALL[2:]]
    assert main([*words, "--learning-rate", "1e-12", "--out", str(tmp_path / "second")]) == 0
    after = load_file(tmp_path / "second" / "encoder.safetensors")
    assert before.keys() == after.keys()
    kept = [name for name in before if not name.endswith(("num_batches_tracked", "running_mean", "running_var"))]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in kept)
    cards = [json.loads((tmp_path / run / "encoder.json").read_text()) for run in ("first", "second")]
    encodings = [card["restore"].get("encoding") for card in cards]
    assert encodings[0] == encodings[1]
    assert cards[1]["provenance"]["start"]["from"] == str(tmp_path / "first")
    assert f"the encoder starts from {tmp_path / 'first'}, trained by dacl on " in capsys.readouterr().err

    asked = itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(
            StopRequest,
            "requested",
            raising=False,
            value=property(lambda self: next(asked) == 3, lambda self, value: None),
        )
        assert main([*words, "--out", str(tmp_path / "parts")]) == 128 + signal.SIGTERM
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    shutil.move(tmp_path / "first", tmp_path / "gone")
    assert main([*words, "--out", str(tmp_path / "parts"), "--resume"]) == 0
    weights = [(tmp_path / run / "encoder.safetensors").read_bytes() for run in ("parts", "whole")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("first", "second"), [("graphs", "text"), ("tables", "images"), ("images", "graphs")])
def test_a_run_of_another_kind_is_refused_before_the_data_are_read(first, second, tmp_path, monkeypatch, capsys):
    for kind in (first, second):
        (tmp_path / kind).mkdir()
    before, after = (KINDS[kind](tmp_path / kind) for kind in (first, second))
    assert main(["fit", "random", *before, *SMALL, "--out", str(tmp_path / "run")]) == 0
    if second != "images":  # an array may be anything before it is read
        monkeypatch.setattr(unconfound.runs, "load", lambda *_, **__: pytest.fail("the data were read"))
    words = ["--from", str(tmp_path / "run"), "--data", after[1], "--out", str(tmp_path / "new")]
    assert main(["fit", "dacl", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"holds {second}" in told
    assert f"the encoder of {tmp_path / 'run'} takes {first}" in told
    assert not (tmp_path / "new").exists()
