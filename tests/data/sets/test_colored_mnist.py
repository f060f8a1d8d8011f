import gzip
import struct

import numpy as np
import pytest
import torch

from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.colored_mnist import colored_mnist

COUNTS = {"train": 1200, "t10k": 600}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Digits of the right layout: a bar in the middle, as many pixels long as the digit."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in COUNTS.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for label in range(10):
            images[labels == label, 12:16, 8 : 9 + label] = 200
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + values.tobytes()))
    return root


def _digit(source):
    """Read the digit off the length of its bar."""
    return (source.inputs.amax(1)[:, 13, 8:18] == 200).sum(1) - 1


def test_ten_classes_on_their_colours(root):
    data = colored_mnist(root, correlation=0.8, seed=1)
    assert list(data.tests) == [
        "original",
        "mixed-same",
        "mixed-rand",
        "only-foreground",
        "only-background",
        "unseen-colours",
    ]
    corner = {name: source.inputs[:, :, 0, 0] for name, source in (("train", data.train), *data.tests.items())}
    own = torch.stack([corner["mixed-same"][data.tests["original"].labels == label][0] for label in range(10)])
    assert len(own.unique(dim=0)) == 10
    assert corner["mixed-same"].equal(own[data.tests["mixed-same"].labels])
    for name, source in (("train", data.train), ("original", data.tests["original"])):
        assert corner[name].equal(own[source.scenes])
        share = (source.scenes == source.labels).float().mean().item()
        assert share == pytest.approx(0.8, abs=0.06)
        assert torch.equal(_digit(source), source.labels)
        assert source.schema.shape == (3, 28, 28)
        # Nothing of the colour is left under the mask, nor of the digit beside it.
        covered = source.masks.expand(-1, 3, -1, -1)
        assert (source.inputs[covered] == 200).all()
        assert source.inputs[~covered].equal(corner[name][:, :, None, None].expand(-1, -1, 28, 28)[~covered])
    unseen = corner["unseen-colours"].unique(dim=0)
    assert len(unseen) == 10
    assert not (unseen[:, None] == own).all(2).any()
    assert data.tests["unseen-colours"].groups is None
    independent = (data.tests["mixed-rand"].scenes == data.tests["mixed-rand"].labels).float().mean().item()
    assert independent == pytest.approx(0.1, abs=0.05)


def test_two_environments_with_label_noise(root):
    data = colored_mnist(root, colouring="irm", seed=2)
    assert data.train.schema.classes == ("0 to 4", "5 to 9")
    assert data.train.schema.groups == ("colours flipped 10%", "colours flipped 20%")
    assert data.train.groups.bincount().tolist() == [500, 500]
    assert len(data.validation) == 200
    assert data.tests["test"].groups is None
    assert data.train.notes == ["subset: environments of 500 of 25,000 digits"]
    parts = [(data.train, data.train.groups == group, flips) for group, flips in ((0, 0.1), (1, 0.2))]
    parts.append((data.tests["test"], torch.ones(600, dtype=torch.bool), 0.9))
    for source, chosen, flips in parts:
        half = (_digit(source) >= 5).long()
        assert (half != source.labels)[chosen].float().mean().item() == pytest.approx(0.25, abs=0.07)
        # Red is channel 0 and the colour of label 1; there is no blue.
        red, green, blue = (source.inputs[:, channel].flatten(1).amax(1) > 0 for channel in range(3))
        assert torch.equal(red, ~green)
        assert not blue.any()
        assert torch.equal(red.long(), source.scenes)
        assert (source.scenes != source.labels)[chosen].float().mean().item() == pytest.approx(flips, abs=0.06)


def test_a_square_in_the_corner(root):
    data = colored_mnist(root, colouring="square", seed=3)
    assert list(data.tests) == ["original", "conflicting", "no-square"]
    red = torch.tensor([255, 0, 0])
    for source, share in ((data.train, 0.01), (data.tests["original"], 0.01), (data.tests["conflicting"], 1.0)):
        square = source.inputs[:, :, :4, :4]
        assert square.flatten(2).equal(square[:, :, 0, :1].expand(-1, -1, 16))
        is_red = (square[:, :, 0, 0] == red).all(1)
        assert torch.equal(source.scenes, (~is_red).long())
        other = source.scenes != source.labels
        assert torch.equal(source.groups, 2 * source.labels + other.long())
        assert other.float().mean().item() == pytest.approx(share, abs=0.02)
        assert torch.equal((_digit(source) >= 5).long(), source.labels)
        assert not source.masks[:, :, :4, :4].any()
    bare = data.tests["no-square"]
    assert not bare.inputs[:, :, :4, :4].any()
    assert bare.groups is None
    assert data.train.schema.groups[1] == "0 to 4, other square"


@pytest.mark.parametrize("colouring", ["ten", "irm", "square"])
def test_the_seed_decides(root, colouring):
    first, again, other = (
        load_dataset(DataOptions(data="colored-mnist", data_root=root, colouring=colouring, data_seed=seed))
        for seed in (0, 0, 1)
    )
    assert first.train.inputs.equal(again.train.inputs)
    assert not first.train.inputs.equal(other.train.inputs)
    assert first.restore == {"kind": "images", "image_size": 28, "channels": 3}
    for name, source in first.tests.items():
        assert source.inputs.equal(again.tests[name].inputs)


def test_mistakes_are_told(root, tmp_path):
    with pytest.raises(ValueError, match="colouring is 'two': use ten, irm or square"):
        colored_mnist(root, colouring="two")
    with pytest.raises(ValueError, match="correlation is 2"):
        colored_mnist(root, correlation=2.0)
    with pytest.raises(FileNotFoundError, match="mnist needs"):
        colored_mnist(tmp_path)
    with pytest.raises(ValueError, match="images of its own size"):
        load_dataset(DataOptions(data="colored-mnist", data_root=root, image_size=32))


def test_real_digits(data_root):
    data = colored_mnist(data_root, colouring="irm")
    assert data.train.groups.bincount().tolist() == [25_000, 25_000]
    assert (len(data.validation), len(data.tests["test"])) == (10_000, 10_000)
    assert not data.train.notes
