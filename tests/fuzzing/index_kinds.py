"""The files of an index, and of the cache of decoded images."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from unconfound import index, open_index
from unconfound.data import Schema
from unconfound.data.files.cache import Cache
from unconfound.data.images.decoded import ImageFiles, decode_all
from unconfound.encoders import build_encoder, save_encoder

from .harness import Kind


def _index(folder: Path, pattern: str) -> Path:
    torch.manual_seed(0)
    schema = Schema("tables", (3,))
    save_encoder(folder / "run", build_encoder("mlp", schema, width=4, depth=1), schema=schema)
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32))
    index(folder / "run", folder / "rows.npy", out=folder / "index")
    (path,) = (folder / "index").glob(pattern)
    return path


def _read_index(path: Path) -> object:
    opened = open_index(next(parent for parent in path.parents if parent.name == "index"))
    opened.load_encoder()
    return opened.manifest, [rows.tobytes() for rows in opened.shards], opened.items.to_pydict()


def _cache(folder: Path, name: str) -> Path:
    rng = np.random.default_rng(0)
    for number in range(3):
        (folder / "images").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "images" / f"{number}.png")
    (folder / "images" / "1.png").write_bytes(b"no image")
    _decode(folder)
    (path,) = (folder / "cache").glob(f"*/{name}")
    return path


def _decode(folder: Path) -> object:
    files = ImageFiles(folder / "images", ("0.png", "1.png", "2.png"), None, 8, 3)
    found = decode_all(files, keep=True, cache=Cache(folder / "cache", limit=10**9), workers=1)
    return found.images is not None and found.images.numpy().tobytes(), found.skipped, found.notes


def _read_cache(path: Path) -> object:
    return _decode(path.parents[2])


INDEX_KINDS = (
    Kind("index.json", partial(_index, pattern="index.json"), _read_index, sealed=True),
    Kind("embeddings of an index", partial(_index, pattern="embeddings-*.npy"), _read_index, sealed=True),
    Kind("items of an index", partial(_index, pattern="items-*.parquet"), _read_index, sealed=True),
    Kind("encoder.json of an index", partial(_index, pattern="encoder-*/encoder.json"), _read_index, sealed=True),
    Kind("weights of an index", partial(_index, pattern="encoder-*/*.safetensors"), _read_index, sealed=True),
    Kind("index.json of the cache", partial(_cache, name="index.json"), _read_cache, sealed=True),
    Kind("images of the cache", partial(_cache, name="images.bin"), _read_cache, sealed=True),
)
