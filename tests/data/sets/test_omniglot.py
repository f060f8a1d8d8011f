import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.omniglot import omniglot

SMALL = ("images_background_small1", "images_background_small2")


def _drawing(value):
    """A white page with a spot of ink: one bit a pixel, as published."""
    page = np.full((21, 21), 255, np.uint8)
    page[value, value] = 0
    content = io.BytesIO()
    Image.fromarray(page).convert("1").save(content, format="PNG")
    return content.getvalue()


def _package(root, name, alphabets, *, folder=False, drawings=2):
    root.mkdir(parents=True, exist_ok=True)
    files = {
        f"{name}/{alphabet}/character{number:02}/{number:02}_{drawing:02}.png": _drawing(number)
        for alphabet, characters in alphabets.items()
        for number in range(1, characters + 1)
        for drawing in range(drawings)
    }
    if folder:
        for file, content in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(content)
        return
    with zipfile.ZipFile(root / f"{name}.zip", "w") as package:
        for file, content in {f"{name}/": b"", f"__MACOSX/{name}/x.png": b"", **files}.items():
            package.writestr(file, content)


@pytest.mark.parametrize("folder", [True, False])
def test_both_packages_packed_or_not(tmp_path, folder):
    root = tmp_path / "omniglot-py"
    _package(root, SMALL[0], {"Latin": 2, "Greek": 3, "Balinese": 1}, folder=folder)
    _package(root, SMALL[1], {"Tagalog": 2, "Greek": 2, "Futurama": 1}, folder=folder)
    for given in (root, root.parent):
        data = omniglot(given)
        train, test = data.train, data.tests["test"]
        assert train.schema.classes == (
            *("Balinese/character01", "Greek/character01", "Greek/character02", "Greek/character03"),
            *("Latin/character01", "Latin/character02", "Futurama/character01", "Tagalog/character01"),
            "Tagalog/character02",
        )
        assert train.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert test.labels.tolist() == [6, 6, 7, 7, 8, 8]
        assert train.names[0] == "Balinese/character01/01_00.png"
        assert train.inputs.shape == (12, 1, 21, 21)
        # The ink is bright.
        assert (train.inputs.flatten(1) == 255).sum(1).tolist() == [1] * 12
        assert train.inputs[-1, 0, 2, 2] == 255
    assert train.notes == (
        f"subset: 12 of 2,720 drawings in {SMALL[0]}",
        f"subset: 10 of 3,120 drawings in {SMALL[1]}",
        f"Greek are in both packages: left out of {SMALL[1]}",
    )
    assert omniglot(root, image_size=7).train.inputs.shape == (12, 1, 7, 7)


def test_the_large_packages_come_first_and_one_will_do(tmp_path):
    _package(tmp_path, SMALL[0], {"Greek": 2})
    _package(tmp_path, "images_evaluation", {"Tengwar": 4})
    data = omniglot(tmp_path)
    assert (len(data.train.schema.classes), data.tests) == (4, {})
    assert data.train.notes[-1] == "images_background is not there"
    divided = load_dataset(DataOptions(data="omniglot", data_root=tmp_path, unseen_classes=True))
    assert divided.tests["test"].schema.classes == ("Tengwar/character03", "Tengwar/character04")
    _package(tmp_path, "images_background", {"Greek": 2, "Latin": 1})
    whole = omniglot(tmp_path)
    assert whole.train.schema.classes[:3] == ("Greek/character01", "Greek/character02", "Latin/character01")
    with pytest.raises(ValueError, match=r"omniglot has no class of its part 'test' in training: .*--unseen-classes"):
        load_dataset(DataOptions(data="omniglot", data_root=tmp_path))


def test_what_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"omniglot needs images_background\.zip and .* nothing is downloaded"):
        omniglot(tmp_path)
    path = tmp_path / f"{SMALL[0]}.zip"
    _package(tmp_path, SMALL[0], {"Greek": 2})
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"images_background_small1\.zip is damaged: .*fetch it anew"):
        omniglot(tmp_path)
    for file, damage, told in (
        ("Greek/character01/x.png", b"no picture", "is damaged: Greek/character01/x.png: not an image"),
        ("Greek/x.png", _drawing(1), "holds Greek/x.png, which is not in ALPHABET/CHARACTER/"),
    ):
        path.write_bytes(content)
        with zipfile.ZipFile(path, "a") as package:
            package.writestr(f"{SMALL[0]}/{file}", damage)
        with pytest.raises(ValueError, match=told) as caught:
            omniglot(tmp_path)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("readme.txt", "nothing")
    with pytest.raises(ValueError, match=r"images_background_small1 in .* holds no drawing: unpack it anew"):
        omniglot(tmp_path)


def test_real_characters(data_root):
    data = load_dataset(DataOptions(data="omniglot", data_root=data_root, image_size=28, unseen_classes=True, fold=0))
    parts = {"train": data.train, "validation": data.validation, **data.tests}
    sizes = {name: (len(part), len(part.schema.classes)) for name, part in parts.items()}
    assert sizes == {"train": (2040, 102), "validation": (680, 34), "test": (2120, 106)}
    assert all((part.labels.bincount() == 20).all() for part in parts.values())
