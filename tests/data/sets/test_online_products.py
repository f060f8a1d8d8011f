import pytest

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.online_products import ONLINE_PRODUCTS, online_products

pytestmark = pytest.mark.usefixtures("own_cache")

# Class, kind and file of each image: 1 to 4 are trained on, the others tested on.
TRAIN = [(1, "bicycle"), (1, "bicycle"), (2, "bicycle"), (2, "bicycle"), (3, "sofa"), (4, "sofa"), (4, "sofa")]
TEST = [(11319, "chair"), (11319, "chair"), (11320, "lamp")]


def _list(path, rows, first):
    lines = ["image_id class_id super_class_id path"]
    for number, (label, kind) in enumerate(rows, first):
        name = f"{kind}_final/{11000 + label}_{number}.JPG"
        picture(path.parent / name, 20 * number)
        lines.append(f"{number} {label} 1 {name}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "Stanford_Online_Products"
    root.mkdir(parents=True)
    _list(root / "Ebay_train.txt", TRAIN, 1)
    _list(root / "Ebay_test.txt", TEST, 8)
    return root


def test_the_published_layout(root):
    for given in (root, root.parent):
        data = online_products(given, reading=Reading(image_size=8))
        assert data.train.schema.classes == ("bicycle 1", "bicycle 2", "sofa 3", "sofa 4", "chair 11319", "lamp 11320")
        assert data.train.labels.tolist() == [0, 0, 1, 1, 2, 3, 3]
        assert data.tests["test"].labels.tolist() == [4, 4, 5]
        assert first_pixels(data.tests["test"]) == pytest.approx([160, 180, 200], abs=3)
    assert "subset: 7 of 59,551 training images" in data.train.notes
    assert "subset: 2 of 11,316 test classes" in data.train.notes
    assert sum([*ONLINE_PRODUCTS.counts.values()][:2]) == 120_053


def test_its_classes_are_divided_as_published(root):
    with pytest.raises(ValueError, match=r"no class of its part 'test' in training: .* say --unseen-classes"):
        load_dataset(DataOptions(data="stanford-online-products", data_root=root, image_size=8))
    data = load_dataset(
        DataOptions(data="stanford-online-products", data_root=root, image_size=8, unseen_classes=True, folds=2, fold=0)
    )
    assert data.train.schema.classes == ("bicycle 1", "bicycle 2")
    assert data.validation.schema.classes == ("sofa 3", "sofa 4")
    assert data.tests["test"].schema.classes == ("chair 11319", "lamp 11320")
    assert "1 of the 2 classes of validation have one sample: nothing is searched for by it" in data.train.notes
    assert "1 of the 2 classes of test have one sample: nothing is searched for by it" in data.train.notes


def test_what_is_missing_or_damaged_is_named(root):
    path = root / "Ebay_test.txt"
    kept = path.read_text()
    for damaged, told in (
        (kept.replace("image_id ", ""), "Ebay_test.txt does not begin with 'image_id class_id super_class_id path'"),
        (kept.replace("9 11319 1", "9 11319"), "Ebay_test.txt, line 3 is '9 11319 chair.*are needed"),
        (kept.replace("9 11319 1", "9 chair 1"), "line 3 is '9 chair 1 chair"),
        (kept.splitlines()[0], "names no image: unpack it anew"),
        ("", "does not begin with"),
    ):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=told) as caught:
            online_products(root, reading=Reading(image_size=8))
        assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"Ebay_test\.txt is damaged: .*unpack it anew"):
        online_products(root, reading=Reading(image_size=8))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"needs Ebay_test\.txt in .*nothing is downloaded"):
        online_products(root, reading=Reading())
