"""Data of users: arrays, recordings, tables, texts, graphs, annotated images, published weights."""

from __future__ import annotations

import json
import wave
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from unconfound.data import Dataset
from unconfound.data.load import DataOptions, load_dataset
from unconfound.encoders.published_weights import read_published_weights, take_published_weights

from .harness import Kind


def _all_of(dataset: Dataset) -> object:
    """Go through all samples, as training would; what they hold may be another after damage."""
    for source in (dataset.train, *dataset.tests.values()):
        for _ in source.batches(torch.arange(len(source)).split(64)):
            pass
    return None


def _load(path: Path, **options: Any) -> object:
    return _all_of(load_dataset(DataOptions(data=str(path), test_share=0.0, **options)))


def _npy(folder: Path) -> Path:
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    return folder / "rows.npy"


def _npz(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    np.savez_compressed(folder / "images.npz", images=images, labels=np.arange(8) % 2)
    return folder / "images.npz"


def _wav(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("yes/0.wav", "yes/1.wav", "no/0.wav", "no/1.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(rng.integers(-1000, 1000, 1200).astype("<i2").tobytes())
    return folder / "yes/0.wav"


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kinds = rng.choice(["red", "green", "blue"], 40)
    return pd.DataFrame({"age": rng.integers(20, 70, 40), "kind": kinds, "income": rng.normal(size=40).round(3)})


def _csv(folder: Path) -> Path:
    _frame().to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def _parquet(folder: Path) -> Path:
    _frame().to_parquet(folder / "rows.parquet", index=False)
    return folder / "rows.parquet"


def _texts(folder: Path) -> Path:
    lines = [json.dumps({"text": f"a {word} apple number {n}"}) for n, word in enumerate(["red", "green"] * 15)]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "texts.jsonl"


def _words(folder: Path) -> Path:
    _texts(folder)
    (folder / "words.txt").write_text("red\napple\nmelon\n")
    return folder / "words.txt"


def _labelled_lines(folder: Path) -> Path:
    (folder / "SST2").mkdir()
    for name in ("stsa.binary.train", "stsa.binary.test"):
        (folder / "SST2" / name).write_text("".join(f"{number % 2} a film of {number} stars\n" for number in range(30)))
    return folder / "SST2" / "stsa.binary.train"


def _graph_files() -> dict[str, str]:
    edges = "".join(f"{3 * g + a}, {3 * g + b}\n" for g in range(6) for a, b in ((1, 2), (2, 1), (2, 3), (3, 2)))
    return {
        "MUTAG_A.txt": edges,
        "MUTAG_graph_indicator.txt": "".join(f"{g + 1}\n" * 3 for g in range(6)),
        "MUTAG_graph_labels.txt": "1\n-1\n" * 3,
        "MUTAG_node_labels.txt": "0\n1\n2\n" * 6,
    }


def _graph_lines(folder: Path, name: str) -> Path:
    (folder / "MUTAG").mkdir()
    for file, text in _graph_files().items():
        (folder / "MUTAG" / file).write_text(text)
    return folder / "MUTAG" / name


def _graphs(path: Path) -> object:
    return _load(path.parent)


def _graph_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "MUTAG.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in _graph_files().items():
            archive.writestr(f"MUTAG/{file}", text)
    return folder / "MUTAG.zip"


def _coco(folder: Path) -> Path:
    for part in ("train2017", "val2017"):
        (folder / part).mkdir()
        (folder / "annotations").mkdir(exist_ok=True)
        for number in range(2):
            Image.new("RGB", (120, 120), (40 * number, 90, 10)).save(folder / part / f"{number}.png")
        square = [10, 10, 110, 10, 110, 110, 10, 110]
        counts = {"size": [120, 120], "counts": [1440, 100, 12860]}
        content = {
            "images": [{"id": n, "file_name": f"{n}.png", "height": 120, "width": 120} for n in range(2)],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1 + n, "area": 10_000, "bbox": [10, 10, 100, 100]}
                | {"iscrowd": 0, "segmentation": counts if n == 2 else [square]}
                for n in range(2)
            ],
            "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "car"}],
        }
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
    return folder / "annotations" / "instances_train2017.json"


def _named(name: str, levels: int) -> Any:
    """Read the published set in whose folder, so many levels up, the damaged file is."""

    def read(path: Path) -> object:
        root = path.parents[levels]
        return _all_of(
            load_dataset(DataOptions(data=name, data_root=root, image_size=8 if name == "coco" else None, workers=0))
        )

    return read


def _coco_read(path: Path) -> object:
    try:
        return _named("coco", 1)(path)
    except ValueError as error:
        if "(No such file or directory)" in str(error):
            return None  # damage to the name of an image: it is the image that is named
        raise


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))


def _published(folder: Path) -> Path:
    torch.manual_seed(0)
    save_file(dict(_network().state_dict()), folder / "published.safetensors")
    return folder / "published.safetensors"


def _take(path: Path) -> None:
    take_published_weights(_network(), read_published_weights(path), source=path, classifier=())


DATA_KINDS = (
    Kind("NumPy array", _npy, _load),
    Kind("NumPy archive", _npz, _load),
    Kind("WAV", _wav, lambda path: _load(path.parents[1])),
    Kind("CSV", _csv, partial(_load, label="kind")),
    Kind("Parquet", _parquet, partial(_load, label="kind")),
    Kind("JSON lines of texts", _texts, _load),
    Kind("list of words", _words, lambda path: _load(path.parent / "texts.jsonl", nuisance_words=path)),
    Kind("labelled lines of texts", _labelled_lines, _named("sst2", 1)),
    Kind("edges of graphs", partial(_graph_lines, name="MUTAG_A.txt"), _graphs, several=True),
    Kind("numbers of graphs", partial(_graph_lines, name="MUTAG_graph_indicator.txt"), _graphs, several=True),
    Kind("zip of graphs", _graph_zip, _named("mutag", 0)),
    Kind("COCO annotations", _coco, _coco_read, several=True),
    Kind("published weights", _published, _take),
)
