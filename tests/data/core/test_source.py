import numpy as np
import pytest
import torch

from unconfound.data import MemorySource, Schema


def test_a_batch_holds_what_its_index_asks_for():
    images = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
    source = MemorySource(
        "toy",
        Schema("images", (3, 4, 4), ("a", "b"), ("x", "y", "z")),
        images,
        labels=torch.tensor([0, 1, 0, 1, -1, 1, 0]),
        groups=torch.tensor([0, 1, 2, 0, 1, 2, 0]),
        masks=torch.rand(7, 1, 4, 4) > 0.5,
    )
    first, second = source.batches([torch.tensor([5, 0, 5]), torch.tensor([4])])
    assert len(source) == 7
    assert len(first) == 3
    assert torch.equal(first.inputs, images[[5, 0, 5]])
    assert first.labels.tolist() == [1, 0, 1]
    assert first.groups.tolist() == [2, 0, 2]
    assert torch.equal(first.masks, source.masks[[5, 0, 5]])
    assert second.index.tolist() == [4]
    assert second.labels.tolist() == [-1]


def test_what_a_source_lacks_its_batches_lack():
    source = MemorySource("toy", Schema("tables", (2,)), torch.zeros(3, 2))
    (batch,) = source.batches([torch.arange(3)])
    assert batch.labels is None
    assert batch.groups is None
    assert batch.masks is None


def test_statistics_of_images_are_those_of_their_pixels_in_the_unit_interval():
    images = torch.randint(0, 256, (600, 3, 5, 6), dtype=torch.uint8)
    mean, deviation = MemorySource("toy", Schema("images", (3, 5, 6)), images).statistics()
    pixels = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(deviation, pixels.std((0, 2, 3)), rtol=1e-6)


def test_statistics_of_rows_are_those_of_their_columns():
    rows = torch.randn(300, 4) * torch.tensor([1.0, 10.0, 0.1, 0.0]) + torch.tensor([0.0, 5.0, -3.0, 2.0])
    mean, deviation = MemorySource("toy", Schema("tables", (4,)), rows).statistics()
    np.testing.assert_allclose(mean, rows.double().mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(deviation[:3], rows[:, :3].double().std(0, correction=0), rtol=1e-5)
    assert deviation[3] == 1


def test_statistics_use_evenly_spaced_samples_up_to_the_number_given():
    rows = torch.arange(10.0)[:, None]
    mean, _ = MemorySource("toy", Schema("tables", (1,)), rows).statistics(samples=5)
    assert mean.item() == pytest.approx((0 + 2 + 4 + 6 + 8) / 5)
