import numpy as np
import pytest
import torch
from PIL import Image

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.cub import CUB, cub

pytestmark = pytest.mark.usefixtures("own_cache")

# Class and split (1 to train) of each image; the numbers of images and classes start at 1.
ROWS = [(1, 1), (1, 0), (2, 1), (2, 0), (3, 0), (3, 1), (4, 1), (4, 0), (4, 0)]
CLASSES = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross", "004.Groove_billed_Ani"]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "CUB_200_2011"
    names = [f"{CLASSES[label - 1]}/Bird_{number}.jpg" for number, (label, _) in enumerate(ROWS, 1)]
    for number, name in enumerate(names, 1):
        picture(root / "images" / name, 20 * number, shape=(8, 12))
    lists = {
        "images.txt": names,
        "image_class_labels.txt": [label for label, _ in ROWS],
        "train_test_split.txt": [trains for _, trains in ROWS],
        "classes.txt": CLASSES,
        "bounding_boxes.txt": ["0.0 0.0 4.0 3.0"] * len(ROWS),
    }
    for name, values in lists.items():
        (root / name).write_text("".join(f"{number} {value}\n" for number, value in enumerate(values, 1)))
    return root


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_the_published_layout(root, memory):
    for given in (root, root.parent):
        data = cub(given, reading=Reading(image_size=8, memory_gib=memory, workers=0))
        for source, trains in ((data.train, 1), (data.tests["test"], 0)):
            expected = [(number, label) for number, (label, split) in enumerate(ROWS, 1) if split == trains]
            assert source.labels.tolist() == [label - 1 for _, label in expected]
            assert first_pixels(source) == pytest.approx([20 * number for number, _ in expected], abs=3)
        assert data.train.schema.classes == tuple(CLASSES)
        assert data.labelled is data.train
        assert data.validation is None
    assert [note for note in data.train.notes if "subset" in note] == [
        "subset: 4 of 5,994 training images",
        "subset: 5 of 5,794 test images",
        "subset: 4 of 200 classes",
    ]
    assert sum(list(CUB.counts.values())[:2]) == 11_788


def test_unseen_classes_take_training_and_test_images_alike(root):
    data = load_dataset(DataOptions(data="cub", data_root=root, image_size=8, unseen_classes=True))
    assert data.train.schema.classes == tuple(CLASSES[:2])
    assert first_pixels(data.train) == pytest.approx([20, 60, 40, 80], abs=3)
    assert data.tests["test"].labels.tolist() == [0, 1, 0, 1, 1]


@pytest.mark.parametrize("beside", [True, False])
def test_segmentations_become_masks_and_swap_backgrounds(root, beside):
    masks = (root.parent if beside else root) / "segmentations"
    for image in (root / "images").rglob("*.jpg"):
        drawn = np.zeros((8, 12), np.uint8)
        drawn[:, :6] = 204  # four of five people
        drawn[:, 6:9] = 51
        path = masks / image.parent.name / f"{image.stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path)
    data = load_dataset(DataOptions(data="cub", data_root=root, image_size=8, unseen_classes=True))
    assert set(data.tests) == {"original", "mixed-same", "mixed-rand", "only-foreground", "only-background"}
    (batch,) = data.tests["only-foreground"].batches([torch.arange(5)])
    assert batch.masks[:, 0, 0].tolist() == [[True] * 4 + [False] * 4] * 5
    assert data.tests["mixed-rand"].schema.classes == tuple(CLASSES[2:])


def test_boxes_are_cut_out(root):
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[:4, :4] = 200
    for image in (root / "images").rglob("*.jpg"):
        Image.fromarray(pixels).save(image, quality=100)
    whole, cut = (
        load_dataset(DataOptions(data="cub", data_root=root, image_size=8, crop_boxes=each)) for each in (False, True)
    )
    for data, low, high in ((whole, 0, 100), (cut, 180, 202)):
        (batch,) = data.train.batches([torch.arange(4)])
        assert low <= batch.inputs.float().mean() <= high
    with pytest.raises(ValueError, match="demo has no boxes to crop to, as cars196 and cub have"):
        load_dataset(DataOptions(data="demo", crop_boxes=True))


def test_what_is_missing_or_damaged_is_named(root):
    for name, old, new, told in (
        (
            "images.txt",
            "3 002",
            "three 002",
            "images.txt, line 3 is 'three 002.*': a number and what has it are needed",
        ),
        ("images.txt", "3 002", "2 002", "images.txt, line 3 has the number 2 a second time: keep one of the lines"),
        ("image_class_labels.txt", "3 2", "3 7", "labels.txt says 7 of image 3: 1, 2, 3, ... is needed"),
        ("image_class_labels.txt", "3 2\n", "", "labels.txt says nothing of image 3: 1, 2, 3, ... is needed"),
        ("train_test_split.txt", "5 0", "5 2", "split.txt says 2 of image 5: 1, 0 is needed"),
        ("bounding_boxes.txt", "5 0.0 0.0 4.0 3.0", "5 0.0 0.0 0.0 3.0", "says 0.0 0.0 0.0 3.0 of image 5: left, top"),
        ("bounding_boxes.txt", "5 0.0 0.0 4.0 3.0", "5 box", "says box of image 5: left, top, width and height"),
        ("classes.txt", None, "", "classes.txt is empty: unpack it anew"),
    ):
        kept = (root / name).read_text()
        (root / name).write_text(new if old is None else kept.replace(old, new))
        with pytest.raises(ValueError, match=told) as caught:
            cub(root, reading=Reading(image_size=8), crop_boxes=True)
        assert "\n" not in str(caught.value)
        (root / name).write_text(kept)
    (root / "images.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"cub needs images\.txt in .*nothing is downloaded"):
        cub(root, reading=Reading())
    with pytest.raises(ValueError, match="say which folder holds them"):
        cub(None, reading=Reading())
