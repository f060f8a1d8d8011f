import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.core.source import Schema
from unconfound.data.images.decoded import ImageFiles
from unconfound.data.images.streaming import StreamingSource


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for number in range(9):
        Image.fromarray(generator.integers(0, 256, (10, 10, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        Image.fromarray(generator.random((10, 10)) > 0.5).save(tmp_path / "masks" / f"{number}.png")
    images = tuple(f"{number}.png" for number in range(9))
    return ImageFiles(tmp_path, images, tuple(tmp_path / "masks" / image for image in images), 10, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_the_order_asked_for(files, workers):
    source = StreamingSource("toy", Schema("images", (3, 10, 10)), files, workers, labels=torch.arange(9) % 4)
    order = [torch.tensor([8, 1]), torch.tensor([0]), torch.tensor([5, 5, 2]), torch.tensor([7])]
    before = torch.random.get_rng_state()
    batches = list(source.batches(iter(order)))
    assert torch.equal(before, torch.random.get_rng_state())
    assert len(source) == 9
    assert source.names == files.images
    for index, batch in zip(order, batches, strict=True):
        assert torch.equal(batch.index, index)
        assert batch.labels.tolist() == [number % 4 for number in index.tolist()]
        for row, number in enumerate(index.tolist()):
            stored = np.asarray(Image.open(files.root / f"{number}.png")).transpose(2, 0, 1)
            assert np.array_equal(batch.inputs[row], stored)
            mask = np.asarray(Image.open(files.root / "masks" / f"{number}.png"))
            assert np.array_equal(batch.masks[row, 0], mask)


def test_without_masks_and_labels(files):
    source = StreamingSource("toy", Schema("images", (1, 5, 5)), ImageFiles(files.root, files.images, None, 5, 1), 0)
    (batch,) = source.batches([torch.arange(3)])
    assert batch.inputs.shape == (3, 1, 5, 5)
    assert batch.masks is None
    assert batch.labels is None


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_broke_meanwhile_is_named_in_one_line(files, workers):
    source = StreamingSource("toy", Schema("images", (3, 10, 10)), files, workers)
    (files.root / "4.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"4\.png: .*; it could be read when the run began") as caught:
        list(source.batches([torch.tensor([3, 4])]))
    assert "\n" not in str(caught.value)
