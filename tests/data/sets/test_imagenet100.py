import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.imagenet100 import imagenet100

WNIDS = [f"n{number:08}" for number in range(103)]
CHOSEN = WNIDS[3:]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "imagenet100"
    for label, wnid in enumerate(WNIDS):
        for path in (f"train/{wnid}/{wnid}_1.JPEG", f"val/{wnid}/ILSVRC2012_val_{label:08}.JPEG"):
            (root / path).parent.mkdir(parents=True)
            Image.fromarray(np.full((8, 8, 3), 2 * label, np.uint8)).save(root / path)
    # As published, not in order.
    (root / "imagenet100.txt").write_text("\n".join(reversed(CHOSEN)) + "\n")
    return root


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_only_the_classes_of_the_list_are_read(root, memory):
    for given in (root, root.parent):
        data = imagenet100(given, reading=Reading(memory_gib=memory, workers=0))
        assert data.train.schema.classes == tuple(CHOSEN)
        for source in (data.train, data.tests["test"]):
            assert source.labels.tolist() == list(range(100))
            (batch,) = source.batches([torch.arange(100)])
            assert batch.inputs[:, 0, 0, 0].tolist() == pytest.approx([2 * n for n in range(3, 103)], abs=2)
        assert "the classes are the 100 of imagenet100.txt" in data.train.notes
        assert data.restore == {"kind": "images", "image_size": 8, "channels": 3}


def test_without_a_list_a_hundred_class_folders_are_taken_as_they_are(root):
    (root / "imagenet100.txt").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"needs imagenet100\.txt in .*, for train holds 103 class folders, not 100: .*HobbitLong/CMC; nothing is",
    ) as caught:
        imagenet100(root, reading=Reading())
    assert "\n" not in str(caught.value)
    for wnid in WNIDS[:3]:
        shutil.rmtree(root / "train" / wnid)
    data = imagenet100(root, reading=Reading())
    assert data.train.schema.classes == tuple(CHOSEN)
    assert len(data.tests["test"]) == 100
    assert any("there is no imagenet100.txt to compare them with" in note for note in data.train.notes)


def test_it_is_read_by_its_name_in_any_size(root):
    data = load_dataset(DataOptions(data="imagenet100", data_root=root, image_size=16))
    assert data.train.schema.shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (CHOSEN[1:], r"imagenet100\.txt holds 99 lines with 99 different classes: 100 are needed"),
        ([*CHOSEN[1:], CHOSEN[1]], "holds 100 lines with 99 different classes"),
        ([*CHOSEN[1:], "tench"], "holds 'tench', which is no WordNet number such as n01440764"),
        (["n1\0"], "which is no WordNet number"),
        ([], "holds 0 lines"),
    ],
)
def test_damaged_lists_are_refused(root, lines, message):
    (root / "imagenet100.txt").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message) as caught:
        imagenet100(root, reading=Reading())
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(root):
    shutil.rmtree(root / "train" / CHOSEN[4])
    shutil.rmtree(root / "val" / CHOSEN[5])
    with pytest.raises(
        FileNotFoundError, match=f"needs 2 more class folders in .*: train/{CHOSEN[4]}, val/{CHOSEN[5]}"
    ):
        imagenet100(root, reading=Reading())
    shutil.rmtree(root / "val")
    with pytest.raises(FileNotFoundError, match=r"needs the class folders of ImageNet in .*val: there is no such"):
        imagenet100(root, reading=Reading())
    with pytest.raises(ValueError, match="say which folder holds them"):
        imagenet100(None, reading=Reading())


def test_a_class_without_images_and_damaged_images_are_named(root):
    image = root / "train" / CHOSEN[0] / f"{CHOSEN[0]}_1.JPEG"
    image.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"1 of 200 images \(0\.50%\) cannot be read: train/{CHOSEN[0]}/"):
        imagenet100(root, reading=Reading(bad_share=0.0))
    assert len(imagenet100(root, reading=Reading()).train) == 99
    image.unlink()
    with pytest.raises(ValueError, match=rf"{CHOSEN[0]} holds no image"):
        imagenet100(root, reading=Reading())
