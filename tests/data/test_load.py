import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.load import DataOptions, load_dataset


def test_fewer_training_samples_on_request_leave_test_sets_whole():
    whole = load_dataset(DataOptions(data="demo"))
    fewer = load_dataset(DataOptions(data="demo", train_samples=50))
    assert len(fewer.train) == len(fewer.train_foreground) == 50
    assert fewer.labelled is fewer.train
    assert {name: len(source) for name, source in fewer.tests.items()} == {
        name: len(source) for name, source in whole.tests.items()
    }
    assert fewer.train.notes[-1] == f"50 of {len(whole.train):,} training samples, as asked"
    assert torch.equal(fewer.train.labels, load_dataset(DataOptions(data="demo", train_samples=50)).train.labels)
    other = load_dataset(DataOptions(data="demo", train_samples=50, data_seed=1))
    assert not torch.equal(fewer.train.positions, other.train.positions)
    assert len(load_dataset(DataOptions(data="demo", train_samples=10**6)).train) == len(whole.train)
    with pytest.raises(ValueError, match="train_samples must be at least 1, got 0"):
        DataOptions(train_samples=0)


def test_fewer_test_samples_are_the_same_of_every_test_set():
    whole = load_dataset(DataOptions(data="demo"))
    fewer = load_dataset(DataOptions(data="demo", test_samples=40))
    assert len(fewer.train) == len(whole.train)
    original = fewer.tests["original"]
    assert len(original) == 40
    for name, source in fewer.tests.items():
        assert torch.equal(source.positions, original.positions), name
        assert torch.equal(source.labels, whole.tests[name].labels[original.positions])


def test_digits_on_photographs_of_another_size(tmp_path):
    """It was refused: the digits' own size was taken for that of the composition."""
    folder, photographs = tmp_path / "MNIST/raw", tmp_path / "photographs"
    folder.mkdir(parents=True)
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        digits = rng.integers(64, 256, (count, 28, 28), dtype=np.uint8)
        for kind, values in (("images-idx3", digits), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            head = b"\0\0\x08" + struct.pack(f">B{values.ndim}I", values.ndim, *values.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + values.tobytes())
    for number in range(10):
        Image.fromarray(rng.integers(0, 256, (120, 200, 3), dtype=np.uint8)).save(photographs / f"{number}.png")
    asked = DataOptions(data="composition", foregrounds="mnist", photographs=photographs, data_root=tmp_path)
    assert load_dataset(asked).train.schema.shape == (3, 32, 32)
    large = load_dataset(replace(asked, image_size=64))
    assert large.train.schema.shape == (3, 64, 64)
    # Four fifths of a side, with as much of each digit as before.
    assert int(large.train.masks.sum((1, 2, 3)).max()) == 51**2
    with pytest.raises(ValueError, match="mnist has images of its own size: leave --image-size 64 out"):
        load_dataset(replace(asked, data="mnist", image_size=64))


def test_folders_may_be_given_as_text(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_dataset("fashion-mnist", data_root=str(tmp_path / "nowhere"))
