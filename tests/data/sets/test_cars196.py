import numpy as np
import pytest
from scipy.io import savemat

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.cars196 import CARS196, cars196

pytestmark = pytest.mark.usefixtures("own_cache")

CLASSES = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "smart fortwo 2012"]
# Class and whether it is for the test.
ROWS = [(1, 0), (2, 0), (3, 0), (4, 0), (4, 0), (1, 1), (2, 1), (3, 1)]
_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def _annotations(path, rows, names, *, file, tested):
    """Write annotations as the authors' MATLAB did: a struct array [1, images] whose fields are arrays."""
    fields = [file, *_BOX, "class", *(["test"] if tested else [])]
    struct = np.empty((1, len(rows)), dtype=[(name, object) for name in fields])
    for place, ((label, test), name) in enumerate(zip(rows, names, strict=True)):
        values = [name, 1, 1, 4, 3, label, *([test] if tested else [])]
        struct[0, place] = tuple(value if isinstance(value, str) else np.uint16(value) for value in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    return struct


def _names():
    names = np.empty((1, len(CLASSES)), dtype=object)
    names[0, :] = CLASSES
    return names


@pytest.fixture
def in_one_piece(tmp_path):
    root = tmp_path / "data" / "cars196"
    names = [f"car_ims/{number:06}.jpg" for number in range(1, 9)]
    for number, name in enumerate(names):
        picture(root / name, 20 * number, shape=(8, 12))
    struct = _annotations(root / "cars_annos.mat", ROWS, names, file="relative_im_path", tested=True)
    savemat(root / "cars_annos.mat", {"annotations": struct, "class_names": _names()})
    return root


@pytest.fixture(params=["devkit/", ""])
def in_two_parts(tmp_path, request):
    root = tmp_path / "data" / "stanford_cars"
    for part, file, test in (
        ("cars_train", "devkit/cars_train_annos.mat", 0),
        ("cars_test", f"{request.param}cars_test_annos_withlabels.mat", 1),
    ):
        rows = [row for row in ROWS if row[1] == test]
        names = [f"{number:05}.jpg" for number in range(1, len(rows) + 1)]
        for number, name in enumerate(names):
            picture(root / part / name, 20 * (number + 5 * test), shape=(8, 12))
        savemat(root / file, {"annotations": _annotations(root / file, rows, names, file="fname", tested=False)})
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": _names()})
    return root


def _check(root):
    for given in (root, root.parent):
        data = cars196(given, reading=Reading(image_size=8))
        assert data.train.labels.tolist() == [0, 1, 2, 3, 3]
        assert data.tests["test"].labels.tolist() == [0, 1, 2]
        assert first_pixels(data.train) == pytest.approx([0, 20, 40, 60, 80], abs=3)
        assert first_pixels(data.tests["test"]) == pytest.approx([100, 120, 140], abs=3)
        assert data.train.schema.classes == tuple(CLASSES)
    assert "subset: 5 of 8,144 training images" in data.train.notes
    assert "subset: 4 of 196 classes" in data.train.notes


def test_the_layout_in_one_piece(in_one_piece):
    _check(in_one_piece)
    assert sum(list(CARS196.counts.values())[:2]) == 16_185


def test_the_layout_in_two_parts(in_two_parts):
    _check(in_two_parts)


def test_unseen_classes_and_boxes(in_one_piece):
    data = load_dataset(
        DataOptions(data="cars196", data_root=in_one_piece, image_size=8, unseen_classes=True, crop_boxes=True)
    )
    assert data.train.schema.classes == tuple(CLASSES[:2])
    assert data.tests["test"].labels.tolist() == [0, 1, 1, 0]
    assert data.train.base.base.inputs.shape == (8, 3, 8, 8)


def test_what_is_missing_or_damaged_is_named(in_one_piece, tmp_path):
    path = in_one_piece / "cars_annos.mat"
    content = path.read_bytes()
    struct = _annotations(path, ROWS[:2], ["a.jpg", "b.jpg"], file="relative_im_path", tested=True)
    wrong = struct.copy()
    wrong["class"][0, 1] = np.uint16(9)
    for damaged, told in (
        (content[: len(content) // 2], "cars_annos.mat is damaged: .*unpack it anew"),
        (b"no file of MATLAB", "cars_annos.mat is damaged"),
        ({"annotations": struct}, r"names no classes \(class_names\): use it as published"),
        ({"class_names": _names()}, "has no relative_im_path, class, bbox_x1, .*, test in its annotations"),
        ({"class_names": _names(), "annotations": wrong}, "gives b.jpg the class 9: 1 to 4 are known"),
    ):
        path.write_bytes(damaged) if isinstance(damaged, bytes) else savemat(path, damaged)
        with pytest.raises(ValueError, match=told) as caught:
            cars196(in_one_piece, reading=Reading(image_size=8))
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"cars196 needs devkit/cars_meta\.mat, .*withlabels\.mat in .*nothing"):
        cars196(in_one_piece, reading=Reading())
    with pytest.raises(FileNotFoundError, match="cars196 needs the folder"):
        cars196(tmp_path / "nowhere", reading=Reading())
    assert CARS196.folders[0] == in_one_piece.name
