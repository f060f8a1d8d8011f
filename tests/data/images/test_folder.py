import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.images.folder import image_folder
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _picture(path, number, size=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(number)
    Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(30):
        _picture(tmp_path / "pets" / ("cat" if number < 20 else "dog") / f"{number:02}.png", number)
    return tmp_path / "pets"


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def test_class_folders_are_labelled_and_split_by_class(folder, cache):
    data = image_folder(folder)
    assert data.train.schema.shape == (3, 16, 16)
    assert data.train.schema.classes == ("cat", "dog")
    assert data.labelled is data.train
    assert data.train_foreground is None
    assert data.train.labels.bincount().tolist() == [16, 8]
    assert data.tests["test"].labels.bincount().tolist() == [4, 2]
    assert sorted([*data.train.names, *data.tests["test"].names]) == sorted(
        f"{'cat' if number < 20 else 'dog'}/{number:02}.png" for number in range(30)
    )
    for source in (data.train, data.tests["test"]):
        batch = _all(source)
        for image, label, name in zip(batch.inputs, batch.labels, source.names, strict=True):
            assert name.startswith(data.train.schema.classes[label])
            assert np.array_equal(image, np.asarray(Image.open(folder / name)).transpose(2, 0, 1))
    assert any("image_size is 16" in note for note in data.train.notes)
    assert any("6 of 30 samples, 20% of each class" in note for note in data.train.notes)
    assert data.restore == {"kind": "images", "image_size": 16, "channels": 3}
    assert list(cache.glob("images/*/images.bin"))


def test_seed_and_share_decide_the_split_and_no_share_means_no_test(folder):
    names = [image_folder(folder, seed=seed).tests["test"].names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
    whole = image_folder(folder, test_share=0)
    assert whole.tests == {}
    assert len(whole.train) == 30


def test_streaming_gives_the_same_batches_as_memory(folder):
    for _ in range(2):
        memory, streamed = (
            image_folder(folder, reading=Reading(image_size=8)),
            image_folder(folder, reading=Reading(image_size=8, memory_gib=0)),
        )
        for one, other in ((memory.train, streamed.train), (memory.tests["test"], streamed.tests["test"])):
            order = torch.randperm(len(one), generator=torch.Generator().manual_seed(0)).split(5)
            for first, second in zip(one.batches(order), other.batches(order), strict=True):
                assert torch.equal(first.inputs, second.inputs)
                assert torch.equal(first.labels, second.labels)
                assert torch.equal(first.index, second.index)
            assert list(one.names) == list(other.names)
            assert torch.equal(one.statistics()[0], other.statistics()[0])
    assert any("exceed memory_gib = 0" in note for note in streamed.train.notes)


def test_loose_images_have_no_labels(tmp_path):
    for number in range(5):
        _picture(tmp_path / "loose" / f"{number}.jpg", number)
    data = image_folder(tmp_path / "loose")
    assert data.train.labels is None
    assert data.labelled is None
    assert data.train.schema.classes == ()
    assert len(data.train) == 4
    assert len(data.tests["test"]) == 1


def test_a_split_folder_is_not_split_again(tmp_path):
    for number in range(6):
        _picture(tmp_path / "data" / "train" / "ab"[number % 2] / f"{number}.png", number)
    _picture(tmp_path / "data" / "val" / "b" / "9.png", 9)
    data = image_folder(tmp_path / "data")
    assert len(data.train) == 6
    assert data.tests["test"].names == ["val/b/9.png"]
    assert data.tests["test"].labels.tolist() == [1]
    assert any("val serves as the test set" in note for note in data.train.notes)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(20, 20)] * 3, 20),
        ([(224, 224)], 224),
        ([(20, 30)] * 3, 32),
        ([(70, 99), (100, 120), (40, 200)], 64),
        ([(500, 400)], 224),
    ],
)
def test_the_size_is_chosen_and_said(tmp_path, sizes, expected):
    for number, size in enumerate(sizes):
        _picture(tmp_path / "data" / f"{number}.png", number, size)
    data = image_folder(tmp_path / "data", test_share=0)
    assert data.train.schema.shape == (3, expected, expected)
    assert any(f"image_size is {expected}" in note for note in data.train.notes)


def test_a_given_size_and_one_channel(folder):
    data = image_folder(folder, reading=Reading(image_size=7, channels=1))
    assert _all(data.train).inputs.shape == (24, 1, 7, 7)
    assert not any("image_size" in note for note in data.train.notes)


def test_masks_come_with_their_images(folder, tmp_path):
    for number in range(30):
        mask = np.zeros((16, 16), dtype=np.uint8)
        mask.flat[number] = 255
        path = tmp_path / "masks" / ("cat" if number < 20 else "dog") / f"{number:02}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    for memory in (4.0, 0.0):
        data = image_folder(folder, masks=tmp_path / "masks", reading=Reading(memory_gib=memory))
        for source in (data.train, data.tests["test"]):
            where = _all(source).masks.flatten(1).nonzero()
            assert where[:, 1].tolist() == [int(name[-6:-4]) for name in source.names]


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_damaged_images_are_skipped_counted_and_named(folder, memory):
    for number in range(7):
        (folder / "cat" / f"bad{number}.jpg").write_bytes(b"" if number else b"nothing like a picture")
    content = (folder / "dog" / "25.png").read_bytes()
    (folder / "dog" / "25.png").write_bytes(content[: len(content) // 2])
    data = image_folder(folder, reading=Reading(bad_share=0.3, memory_gib=memory))
    assert len(data.train) + len(data.tests["test"]) == 29
    (note,) = [note for note in data.train.notes if "cannot be read" in note]
    assert note.startswith("8 of 37 images (21.62%) cannot be read: cat/bad0.jpg (")
    assert note.count(".jpg") == 5
    assert "; ...; they are skipped" in note
    assert "dog/25.png" not in [*data.train.names, *data.tests["test"].names]
    batch = _all(data.train)
    for image, name in zip(batch.inputs, data.train.names, strict=True):
        assert np.array_equal(image, np.asarray(Image.open(folder / name)).transpose(2, 0, 1))
    with pytest.raises(ValueError, match=r"8 of 37 images .*; bad_share allows 1.00%: repair or remove") as caught:
        image_folder(folder, reading=Reading(memory_gib=memory))
    assert "\n" not in str(caught.value)


def test_a_folder_of_damaged_images_is_refused_at_any_share(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="none of them can be read"):
        image_folder(tmp_path / "data", reading=Reading(bad_share=1.0))
    with pytest.raises(ValueError, match="1 of 1 images"):
        image_folder(tmp_path / "data", reading=Reading(bad_share=1.0, image_size=32))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"image_size": 0}, "image_size is 0"),
        ({"channels": 4}, "channels is 4"),
        ({"bits": 7}, "bits is 7"),
        ({"bad_share": 1.5}, "bad_share is 1.5"),
        ({"memory_gib": float("nan")}, "memory_gib is nan"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        Reading(**argument)


def test_a_share_out_of_range_is_refused(folder):
    with pytest.raises(ValueError, match=r"test_share is 1.0"):
        image_folder(folder, test_share=1.0)


def _deep_pictures(folder, bits):
    for number in range(6):
        values = np.random.default_rng(number).integers(0, 2**bits, (16, 16)).astype(np.uint16)
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / "ab"[number % 2] / f"{number}.png")
    return folder


def test_16_bit_images_that_use_the_lower_bits_only_need_their_number(tmp_path):
    folder = _deep_pictures(tmp_path / "deep", 12)
    with pytest.raises(ValueError, match=r"values up to 4,0.. of 65,535, .* nearly black: .*--bits 12 .*4,095") as told:
        image_folder(folder)
    assert "\n" not in str(told.value)
    data = load_dataset(DataOptions(data=str(folder), bits=12))
    assert data.restore == {"kind": "images", "image_size": 16, "channels": 3, "bits": 12}
    assert _all(data.train).inputs.float().mean() == pytest.approx(127.5, abs=5)
    again = load_dataset(DataOptions(data=str(folder)), restore=data.restore)
    assert torch.equal(_all(again.train).inputs, _all(data.train).inputs)
    assert _all(image_folder(folder, reading=Reading(bits=16)).train).inputs.max() == 16
    # An encoder of full 16 bits reads dark images as dark ones.
    dark = load_dataset(DataOptions(data=str(folder)), restore={"kind": "images", "image_size": 16, "channels": 3})
    assert _all(dark.train).inputs.max() == 16
    image_folder(_deep_pictures(tmp_path / "full", 16))


def test_a_few_dark_images_of_16_bits_among_others_are_noted(tmp_path):
    folder = _deep_pictures(tmp_path / "deep", 8)
    for number in range(6, 13):
        values = np.random.default_rng(number).integers(0, 256, (16, 16)).astype(np.uint8)
        extension = "png" if number % 2 else "jpg"
        Image.fromarray(values).save(folder / "ab"[number % 2] / f"{number}.{extension}")
    (note,) = (note for note in image_folder(folder).train.notes if "16-bit" in note)
    assert "values up to 255 of 65,535" in note
    assert "they are few, and are read as they are: if that is wrong, say how many bits they have (--bits 8" in note
    for number in (6, 7):
        next(folder.glob(f"?/{number}.*")).unlink()
    with pytest.raises(ValueError, match="nearly black: say how many bits"):
        image_folder(folder)


def test_colours_of_16_bits_that_use_the_lower_bits_only_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / "data" / f"{number}.png").write_bytes(_deep_colours(700 + number))
    for bits, message in (
        (None, "the upper 8 bits are read, so save"),
        (12, "save them with 8 bits"),
    ):
        with pytest.raises(ValueError, match=message):
            image_folder(tmp_path / "data", reading=Reading(bits=bits))
    assert _all(image_folder(tmp_path / "data", reading=Reading(bits=16)).train).inputs.max() == 2


def _deep_colours(value, side=16):
    """A PNG of three channels of 16 bits, all of one value."""
    rows = (b"\0" + struct.pack(">H", value) * 3 * side) * side
    header = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        image_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no image"):
        image_folder(tmp_path / "empty")


def test_real_photographs(data_root):
    data = image_folder(data_root / "PACS" / "photo", reading=Reading(image_size=64))
    assert data.train.schema.classes == ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    assert data.train.labels.bincount().tolist() == [20] * 7
    assert data.tests["test"].labels.bincount().tolist() == [5] * 7
    mean, deviation = data.train.statistics()
    assert ((mean > 0.3) & (mean < 0.7)).all()
    assert ((deviation > 0.15) & (deviation < 0.4)).all()
