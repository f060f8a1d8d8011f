import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.tiny_imagenet import tiny_imagenet

WNIDS = ("n02012849", "n03126707", "n02124075")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))


def _picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((64, 64, 3), value, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "tiny-imagenet-200"
    for label, wnid in enumerate(WNIDS):
        for number in range(4):
            _picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", 10 * label + number)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    lines = []
    for number in range(6):
        _picture(root / "val" / "images" / f"val_{number}.JPEG", 100 + number)
        lines.append(f"val_{number}.JPEG\t{WNIDS[number % 3]}\t0\t32\t44\t62")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    _picture(root / "test" / "images" / "test_0.JPEG", 0)
    words = ["n00001740\tentity", "n02012849\tcrane", "n03126707\tcrane", "n02124075\tEgyptian cat, Felis"]
    (root / "words.txt").write_text("\n".join(words) + "\n")
    return root


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_the_published_layout(root, memory):
    for given in (root, root.parent):
        data = tiny_imagenet(given, reading=Reading(memory_gib=memory, workers=0))
        assert data.train.schema.shape == (3, 64, 64)
        # In the order of the numbers n02012849, n02124075, n03126707.
        assert data.train.schema.classes == ("crane (n02012849)", "Egyptian cat", "crane (n03126707)")
        assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        test = data.tests["test"]
        assert test.names == [f"val/images/val_{number}.JPEG" for number in range(6)]
        assert test.labels.tolist() == [0, 2, 1, 0, 2, 1]
        assert _all(test).inputs[:, 0, 0, 0].tolist() == pytest.approx([100 + number for number in range(6)], abs=2)
        assert _all(data.train).inputs[5, 0, 0, 0].item() == pytest.approx(21, abs=2)
        assert data.labelled is data.train
        assert data.restore == {"kind": "images", "image_size": 64, "channels": 3}
    assert "subset: 12 of 100,000 training images" in data.train.notes
    assert "subset: 6 of 10,000 test images" in data.train.notes


def test_it_is_read_by_its_name_in_any_size(root):
    data = load_dataset(DataOptions(data="tiny-imagenet", data_root=root, image_size=32, channels=1))
    assert data.train.schema.shape == (1, 32, 32)


def test_images_that_are_not_listed_are_passed_over_and_listed_ones_that_are_missing_are_counted(root):
    (root / "val" / "images" / "val_3.JPEG").rename(root / "val" / "images" / "extra.JPEG")
    data = tiny_imagenet(root, reading=Reading(bad_share=0.1))
    assert len(data.tests["test"]) == 5
    assert "images of val/images that are not in val/val_annotations.txt, passed over: 1" in data.train.notes
    assert any("1 of 18 images (5.56%) cannot be read: val/images/val_3.JPEG" in note for note in data.train.notes)
    with pytest.raises(ValueError, match=r"1 of 18 images .*bad_share allows 1\.00%"):
        tiny_imagenet(root, reading=Reading())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val_9.JPEG", r"val_annotations\.txt, line 7 is 'val_9\.JPEG': a file and its class between tabs"),
        ("val_9.JPEG\tn99999999\t0", "line 7 names the class 'n99999999', of which train holds no images"),
        ("val_1.JPEG\tn02012849\t0", r"line 7 names val_1\.JPEG a second time"),
        ("../1.JPEG\tn02012849\t0", "line 7 is '../1.JPEG"),
    ],
)
def test_damaged_lines_are_named(root, line, message):
    path = root / "val" / "val_annotations.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message) as caught:
        tiny_imagenet(root, reading=Reading())
    assert "\n" not in str(caught.value)


def test_damaged_lists_are_refused(root):
    annotations, words = root / "val" / "val_annotations.txt", root / "words.txt"
    kept = annotations.read_text()
    annotations.write_text("\n")
    with pytest.raises(ValueError, match="names no image"):
        tiny_imagenet(root, reading=Reading())
    annotations.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"val_annotations\.txt is damaged"):
        tiny_imagenet(root, reading=Reading())
    annotations.write_text(kept)
    words.write_text("n02012849\tcrane\n")
    with pytest.raises(ValueError, match=r"words\.txt has no word for 2 of 3 classes: n02124075 is the first"):
        tiny_imagenet(root, reading=Reading())


def test_what_is_missing_is_named(root, tmp_path):
    (root / "words.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"tiny-imagenet needs words\.txt in .*tiny-imagenet-200: nothing is"):
        tiny_imagenet(root, reading=Reading())
    (root / "words.txt").write_text("")
    (root / "train").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match="tiny-imagenet needs train/ in"):
        tiny_imagenet(root, reading=Reading())
    _picture(root / "train" / "loose.JPEG", 0)
    with pytest.raises(ValueError, match="holds loose images: they belong into train/WNID/images"):
        tiny_imagenet(root, reading=Reading())
    with pytest.raises(ValueError, match="say which folder holds them"):
        tiny_imagenet(None, reading=Reading())
