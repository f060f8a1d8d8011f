import numpy as np
import pytest
import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.tables.pixel_rows import PixelRows
from unconfound.encoders import build_encoder


def _images(samples=6, *, dtype=torch.uint8):
    images = torch.randint(0, 256, (samples, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    images = images.to(dtype) if dtype == torch.uint8 else images / 255.0
    return MemorySource(
        "images",
        Schema("images", (3, 4, 5), ("a", "b")),
        images,
        torch.arange(samples) % 2,
        masks=torch.ones(samples, 1, 4, 5, dtype=torch.bool),
        names=[f"image {number}" for number in range(samples)],
        notes=("said",),
    )


def test_a_row_holds_the_pixels_by_channel_row_and_column():
    base = _images()
    rows = PixelRows(base)
    (batch,) = rows.batches([torch.tensor([4, 1])])
    assert batch.inputs.shape == (2, 60)
    assert batch.inputs[0, 20 * 2 + 5 * 3 + 1] == base.inputs[4, 2, 3, 1]
    assert batch.inputs.dtype == torch.uint8
    assert batch.labels.tolist() == [0, 1]
    assert batch.masks is None
    assert (rows.schema.modality, rows.schema.shape, rows.schema.classes) == ("tables", (60,), ("a", "b"))
    assert (len(rows), rows.names[3], rows.notes) == (6, "image 3", ("said",))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_statistics_are_those_of_a_columns_channel_over_all_pixels(dtype):
    base = _images(50, dtype=dtype)
    base.inputs[:, :, 0, 0] = 0  # a corner that never varies
    mean, deviation = PixelRows(base).statistics()
    pixels = base.inputs.double() / (255 if dtype == torch.uint8 else 1)
    channels = pixels.transpose(0, 1).flatten(1)
    torch.testing.assert_close(
        mean.double().view(3, 20), channels.mean(1, keepdim=True).expand(3, 20), rtol=1e-5, atol=1e-6
    )
    expected = channels.std(1, correction=0, keepdim=True).expand(3, 20)
    torch.testing.assert_close(deviation.double().view(3, 20), expected, rtol=1e-4, atol=1e-6)


def test_noise_is_as_large_in_a_corner_that_never_varies_as_elsewhere():
    base = _images(50)
    base.inputs[:, :, 0, 0] = 0
    rows = PixelRows(base)
    mean, deviation = rows.statistics()
    encoder = build_encoder("mlp", rows.schema, mean=mean, deviation=deviation, width=8, depth=2)
    (batch,) = rows.batches([torch.arange(50)])
    pixels = batch.inputs / 255.0
    noise = 0.1 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    moved = (encoder.network.normalize(pixels + noise) - encoder.network.normalize(pixels)).std(0)
    assert moved[0] < 2 * moved.median()


def test_an_encoder_takes_pixels_as_bytes_and_as_shares_alike():
    rows = PixelRows(_images())
    encoder = build_encoder("mlp", rows.schema, width=8, depth=2).eval()
    (batch,) = rows.batches([torch.arange(6)])
    torch.testing.assert_close(encoder(batch.inputs), encoder(batch.inputs / 255.0))


def test_only_images_become_rows():
    table = MemorySource("table", Schema("tables", (2,)), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="table holds tables, only images can be read as rows: leave --rows out"):
        PixelRows(table)


def test_a_file_is_read_as_rows_on_request_and_again_for_its_encoder(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(20) % 2)
    options = DataOptions(data=str(tmp_path / "images.npz"), rows=True)
    dataset = load_dataset(options)
    assert dataset.train.schema.shape == (64,)
    assert set(dataset.tests) == {"test"}
    assert dataset.labelled.schema.modality == "tables"
    # An encoder of rows needs no flag to read new images as rows.
    again = load_dataset(DataOptions(data=str(tmp_path / "images.npz"), test_share=0.0), restore=dataset.restore)
    (batch,) = again.train.batches([torch.arange(20)])
    assert torch.equal(batch.inputs, torch.from_numpy(images).flatten(1))
