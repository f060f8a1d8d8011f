import unicodedata

import pytest

from unconfound.data.files.folders import find_masks, read_layout


def _files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_class_folders_at_any_depth_and_in_any_case(tmp_path):
    _files(tmp_path, "dog/1.PNG", "dog/old/2.jpeg", "cat/3.TiF", "cat/readme.txt", ".hidden/4.png", "cat/._3.png")
    layout = read_layout(tmp_path)
    assert layout.files == ("cat/3.TiF", "dog/1.PNG", "dog/old/2.jpeg")
    assert layout.classes == ("cat", "dog", "dog")
    assert layout.parts == {"train": 3}
    assert any("not images by their names, passed over: 1" in note for note in layout.notes)


def test_loose_images_have_no_classes(tmp_path):
    layout = read_layout(_files(tmp_path, "b.png", "a.jpg"))
    assert layout.files == ("a.jpg", "b.png")
    assert layout.classes is None


@pytest.mark.parametrize("test", ["test", "val", "valid", "validation", "Test"])
def test_split_folders(tmp_path, test):
    layout = read_layout(_files(tmp_path, "train/a/1.png", "train/b/2.png", f"{test}/b/3.png"))
    assert layout.files[2:] == (f"{test}/b/3.png",)
    assert layout.classes == ("a", "b", "b")
    assert layout.labels(layout.class_names()).tolist() == [0, 1, 1]
    assert {name: positions.tolist() for name, positions in layout.positions().items()} == {
        "train": [0, 1],
        "test": [2],
    }
    assert any(f"the folder {test} serves as the test set" in note for note in layout.notes) == (test.lower() != "test")


def test_both_test_and_validation(tmp_path):
    layout = read_layout(_files(tmp_path, "train/1.png", "test/2.png", "val/3.png"))
    assert layout.files == ("train/1.png", "test/2.png", "val/3.png")
    assert layout.parts == {"train": 1, "test": 1, "val": 1}


def test_a_folder_train_alone_is_the_data_and_among_classes_it_is_a_class(tmp_path):
    alone = read_layout(_files(tmp_path / "alone", "train/a/1.png", "train/b/2.png"))
    assert alone.classes == ("a", "b")
    vehicles = read_layout(_files(tmp_path / "vehicles", "train/1.png", "bus/2.png"))
    assert vehicles.classes == ("bus", "train")
    assert any("train is taken for a class" in note for note in vehicles.notes)


def test_links_are_followed_but_not_in_circles(tmp_path):
    _files(tmp_path, "elsewhere/1.png", "data/a/2.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "back").symlink_to(tmp_path / "data")
    images = read_layout(tmp_path / "data").files
    assert images == ("a/2.png", "b/1.png")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "cat/b.png"], "1 loose images beside 1 folders of images .cat.*either put all"),
        (["train/a/1.png", "train/2.png", "test/a/3.png"], "train holds 1 loose images beside"),
        (["train/a/1.png", "test/b/2.png"], "test holds classes that train lacks: b"),
        (["train/a/1.png", "test/2.png"], "test holds loose images, train class folders"),
        (["train/1.png", "test/a/2.png"], "train holds loose images, test class folders"),
        (["train/a/1.png", "test/a/2.png", "extra/a/3.png"], "beside its folders train, test: extra"),
        (["test/a/1.png"], "holds test, but no folder train"),
        (["readme.txt"], "holds no image, .*bmp, gif, jpeg, jpg"),
    ],
)
def test_unclear_folders_are_refused(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        read_layout(_files(tmp_path, *names))


def test_test_folders_may_hold_other_classes_where_they_are_unseen(tmp_path):
    root = _files(tmp_path, "train/a/1.png", "train/b/2.png", "test/c/3.png")
    with pytest.raises(
        ValueError, match=r"test holds classes that train lacks: c; to be evaluated .* say --unseen-classes"
    ):
        read_layout(root)
    layout = read_layout(root, unseen_classes=True)
    assert layout.classes == ("a", "b", "c")


def test_missing_paths_and_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder "):
        read_layout(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"a\.png is a file: a folder of images is needed"):
        read_layout(_files(tmp_path, "a.png") / "a.png")


def test_masks_lie_at_the_same_path_with_any_extension_and_are_no_data(tmp_path):
    _files(tmp_path, "cat/1.jpg", "dog/2.jpg", "masks/cat/1.png", "masks/dog/2.PNG", "masks/dog/3.png")
    layout = read_layout(tmp_path, without=tmp_path / "masks")
    assert layout.files == ("cat/1.jpg", "dog/2.jpg")
    masks = find_masks(tmp_path / "masks", layout.files)
    assert masks == (tmp_path / "masks/cat/1.png", tmp_path / "masks/dog/2.PNG")


def test_masks_that_are_missing_or_double_are_refused(tmp_path):
    _files(tmp_path, "masks/a.png")
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images have no mask in .*: cat/b\.\* is missing"):
        find_masks(tmp_path / "masks", ("a.jpg", "cat/b.jpg"))
    _files(tmp_path, "masks/a.bmp")
    with pytest.raises(ValueError, match="two masks of one image"):
        find_masks(tmp_path / "masks", ("a.jpg",))
    with pytest.raises(FileNotFoundError, match="no folder of masks"):
        find_masks(tmp_path / "nowhere", ("a.jpg",))


ACCENT = "caf\u00e9"


def _apart(name):
    """The name with its accents as characters of their own."""
    return unicodedata.normalize("NFD", name)


def test_folders_that_systems_keep_are_no_classes_and_hold_no_samples(tmp_path):
    data = _files(
        tmp_path / "data", "a/1.png", "b/2.png", "a/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "@eaDir/b/x.jpg", "b/Thumbs.db"
    )
    _files(data, "$RECYCLE.BIN/3.png", "__MACOSX/a/4.png", "b/.ipynb_checkpoints/2-checkpoint.png", "lost+found/5.png")
    layout = read_layout(data)
    assert layout.files == ("a/1.png", "b/2.png")
    assert layout.classes == ("a", "b")
    assert any("passed over: 6, the first is $RECYCLE.BIN" in note for note in layout.notes)
    masks = _files(tmp_path / "masks", "a/1.png", "b/2.png", "a/@eaDir/1.bmp", "@eaDir/a/1.bmp")
    assert find_masks(masks, layout.files) == (masks / "a/1.png", masks / "b/2.png")


def test_names_in_another_unicode_form_are_the_same(tmp_path):
    _files(tmp_path / "data", f"train/{ACCENT}/1.png", "train/b/2.png", f"test/{_apart(ACCENT)}/{ACCENT}.png")
    layout = read_layout(tmp_path / "data")
    assert layout.classes == ("b", ACCENT, ACCENT)
    test = layout.files[2:]
    assert test == (f"test/{_apart(ACCENT)}/{ACCENT}.png",)
    _files(tmp_path / "masks", f"test/{ACCENT}/{_apart(ACCENT)}.png")
    assert find_masks(tmp_path / "masks", test) == (tmp_path / "masks" / f"test/{ACCENT}/{_apart(ACCENT)}.png",)
