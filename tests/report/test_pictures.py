import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.tables.pixel_rows import PixelRows
from unconfound.report.pictures import (
    class_name,
    column_names,
    data_uri,
    first_of_classes,
    row_values,
    samples,
    snippet,
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
    assert column_names(source.schema, {}) == ("column 1", "column 2")
    assert column_names(source.schema, {"columns": ["a", "b"]}) == ("a", "b")


def test_encoded_columns_are_written_as_a_reader_knows_them():
    names = ["age", "age missing", "sex=f", "sex=m", "job=a", "job=b", "job missing", "pay"]
    row = torch.tensor([0.25, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5])
    assert row_values(row, names) == {"age": "0.25", "sex": "m", "job": "missing", "pay": "0.5"}
    row = torch.tensor([0.25, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5])
    assert row_values(row, names) == {"age": "missing", "sex": "—", "job": "a", "pay": "0.5"}


def test_rows_of_pixels_are_shown_as_the_images_they_are(picture_data):
    images = picture_data(swaps=False).train
    shown = samples(PixelRows(images), torch.tensor([5, 2]), names=("a pixel",))
    assert shown == samples(images, torch.tensor([5, 2]))
    part = samples(Subset(PixelRows(images), torch.tensor([2, 0, 5])), torch.tensor([2, 0]), names=("a pixel",))
    assert [each.picture for each in part] == [each.picture for each in shown]
    np.testing.assert_array_equal(decoded(shown[0].picture)[1], images.inputs[5].permute(1, 2, 0).numpy())


def test_a_graph_is_drawn_with_its_own_edges(graph_data):
    ring, star = samples(graph_data.train, torch.tensor([2, 13]))
    assert (ring.label, ring.name, ring.size) == ("ring", "molecule 2", "5 nodes, 5 edges")
    assert (star.label, star.name, star.size) == ("star", "molecule 13", "6 nodes, 5 edges")
    assert 'aria-label="star, molecule 13: 6 nodes, 5 edges"' in star.drawing
    # The kinds of nodes go round over all graphs, in the order of the data.
    assert [star.drawing.count(f"colour-{kind}") for kind in (0, 1, 2, "rest")] == [1, 1, 1, 0]
    assert ring == samples(graph_data.train, torch.tensor([2]))[0]


def test_a_text_is_shown_by_its_first_words(text_data):
    source = Subset(text_data.train, torch.tensor([5, 0, 1]))
    plain, long, markup = samples(source, torch.tensor([0, 1, 2]))
    assert plain.values == {"Text": "question 5: is it so?"}
    assert long.values["Text"] == "many words " * 14 + "many…"
    assert markup.values == {"Text": "<b>bold</b> & <script>alert(1)</script>"}
    assert (plain.picture, plain.drawing, plain.size) == ("", "", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\n\tb ", "a b"),
        ("a bc", "a bc"),
        ("ab cde", "ab…"),
        ("abc efg", "abc…"),
        ("abcdefgh", "abc…"),
        ("\ud800x", "?x"),
    ],
)
def test_a_snippet_ends_with_a_whole_word_where_there_is_one(text, shown):
    assert snippet(text, length=4) == shown
    assert len(shown) <= 4


def test_a_text_whose_words_are_not_known_is_shown_by_its_tokens():
    source = SequenceSource("t", Schema("text", (90,)), torch.arange(43), torch.tensor([3, 40]))
    short, long = samples(source, torch.tensor([0, 1]))
    assert short.values == {"Text": "tokens 0 1 2"}
    assert long.values == {"Text": f"tokens {' '.join(map(str, range(3, 27)))} …"}


def test_a_series_is_drawn_without_its_padding(series_data):
    short, long = samples(series_data(channels=2).train, torch.tensor([2, 11]))
    assert (short.size, long.size) == ("3 steps", "12 steps")
    assert [drawing.count("colour-") for drawing in (short.drawing, long.drawing)] == [2, 2]
    assert short == samples(series_data(channels=2).train, torch.tensor([2]))[0]
    one, other = samples(series_data(channels=9).train, torch.tensor([0, 4]))
    assert (one.size, one.drawing, other.size) == ("1 step", "", "5 steps")
    assert [decoded(each.picture)[1].shape for each in (one, other)] == [(9, 1, 3), (9, 5, 3)]
