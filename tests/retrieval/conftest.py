"""A small encoder in a run folder, and images for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Schema
from unconfound.encoders import build_encoder, save_encoder

SIZE = 16


def draw_images(folder: Path, *, classes: tuple[str, ...] = ("circle", "square"), each: int = 5, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def save_run(folder: Path, *, seed: int = 0, schema: Schema | None = None, restore: dict | None = None) -> Path:
    torch.manual_seed(seed)
    schema = schema or Schema("images", (3, SIZE, SIZE), ("circle", "square"))
    folder.mkdir(parents=True)
    name = {"images": "convnet", "tables": "mlp", "text": "gru"}[schema.modality]
    encoder = build_encoder(name, schema, width=8, depth=2 if name != "gru" else None)
    save_encoder(
        folder,
        encoder,
        schema=schema,
        restore=restore or {"kind": "images", "image_size": SIZE, "channels": 3},
        provenance={"seed": seed},
    )
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_run(tmp_path / "run")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")
