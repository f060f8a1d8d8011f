import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.report.pictures import (
    class_name,
    data_uri,
    feature_names,
    first_of_classes,
    row_values,
    samples,
)


def decoded(uri):
    head, _, body = uri.partition(",")
    return head, np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_a_small_image_is_shown_exactly():
    image = torch.randint(0, 256, (3, 32, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    head, pixels = decoded(data_uri(image))
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(pixels, image.permute(1, 2, 0).numpy())


def test_a_large_image_is_made_small():
    head, pixels = decoded(data_uri(torch.full((3, 400, 200), 77, dtype=torch.uint8)))
    assert head == "data:image/jpeg;base64"
    assert pixels.shape == (96, 48, 3)
    assert abs(int(pixels.mean()) - 77) <= 1


@pytest.mark.parametrize(("channels", "shown"), [(1, None), (2, None), (3, 3), (4, 3), (7, 3)])
def test_any_number_of_channels_can_be_seen(channels, shown):
    image = torch.rand(channels, 8, 8, generator=torch.Generator().manual_seed(0)) * 1.5 - 0.25
    _, pixels = decoded(data_uri(image))
    assert pixels.shape == ((8, 8) if shown is None else (8, 8, shown))
    expected = (image[0 if shown is None else slice(0, 3)].clamp(0, 1) * 255).round().to(torch.uint8)
    np.testing.assert_array_equal(pixels if shown is None else pixels.transpose(2, 0, 1), expected.numpy())


def test_one_sample_of_each_class_is_chosen_without_looking():
    labels = torch.tensor([2, 2, -1, 0, 1, 0])
    assert first_of_classes(labels, 6, limit=5).tolist() == [3, 4, 0]
    assert first_of_classes(labels, 6, limit=2).tolist() == [3, 0]
    assert first_of_classes(None, 9, limit=3).tolist() == [0, 4, 8]
    assert first_of_classes(torch.full((4,), -1), 4, limit=9).tolist() == [0, 1, 2, 3]


def test_samples_carry_their_class_and_name():
    source = MemorySource(
        "t",
        Schema("tables", (2,), ("cat",)),
        torch.tensor([[1.0, 2.5], [3.0, 4.0]]),
        torch.tensor([0, -1]),
        names=["x", "y"],
    )
    first, second = samples(source, torch.tensor([1, 0]), names=("age", "height"))
    assert (first.label, first.name, first.values) == ("no label", "y", {"age": "3", "height": "4"})
    assert (second.label, second.name, second.values) == ("cat", "x", {"age": "1", "height": "2.5"})
    assert class_name(source, 5) == "5"
    assert feature_names(Dataset(source, {})) == ("column 1", "column 2")
    assert feature_names(Dataset(source, {}, restore={"columns": ["a", "b"]})) == ("a", "b")


def test_encoded_columns_are_written_as_a_reader_knows_them():
    names = ["age", "age missing", "sex=f", "sex=m", "job=a", "job=b", "job missing", "pay"]
    row = torch.tensor([0.25, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5])
    assert row_values(row, names) == {"age": "0.25", "sex": "m", "job": "missing", "pay": "0.5"}
    row = torch.tensor([0.25, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5])
    assert row_values(row, names) == {"age": "missing", "sex": "—", "job": "a", "pay": "0.5"}
