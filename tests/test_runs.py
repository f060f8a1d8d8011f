"""What `unconfound embed` writes, beside what `unconfound index` holds of the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from data.pictures import picture
from retrieval.conftest import SIZE, save_run

from unconfound.arguments import EmbedArguments
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.retrieval import index, reading
from unconfound.runs import embed_run


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published layout of Waterbirds: a table says which images are for training, for choosing and for testing."""
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for number in range(24):
        picture(tmp_path / "birds" / f"bird/{number:02}.jpg", 10 + 10 * number, shape=(SIZE, SIZE))
        lines.append(f"{number},bird/{number:02}.jpg,{number % 2},{number // 8},{number // 2 % 2},sea.jpg")
    (tmp_path / "birds" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "birds"


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_embed_takes_every_split_as_index_does(tmp_path: Path, birds: Path, suffix: str) -> None:
    run, out = save_run(tmp_path / "run"), tmp_path / f"embeddings{suffix}"
    assert embed_run(EmbedArguments(run=run, source="waterbirds", data_root=birds, out=out)) == 24
    indexed = index(run, "waterbirds", out=tmp_path / "index", data_root=birds)
    if suffix == ".npy":
        written = np.load(out)
    else:
        table = pd.read_parquet(out)
        assert list(table["split"]) == ["train"] * 8 + ["validation"] * 8 + ["test"] * 8
        assert list(table["index"]) == [*range(8)] * 3
        assert list(table["split"]) == indexed.items["split"].to_pylist()
        written = table.filter(like="embedding_").to_numpy()
    unit = written / np.linalg.norm(written, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, np.concatenate(indexed.shards), atol=1e-6)


def test_two_splits_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource("birds", Schema("tables", (2,)), torch.zeros(3, 2))
    dataset = Dataset(source, {"validation": source}, validation=source)
    monkeypatch.setattr(reading, "load", lambda *_, **__: dataset)
    run = save_run(tmp_path / "run", schema=source.schema, restore={"kind": "table"})
    with pytest.raises(ValueError, match="a test set called 'validation'"):
        embed_run(EmbedArguments(run=run, source="birds", out=tmp_path / "out.npy"))
