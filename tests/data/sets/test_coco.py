import json

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Schema
from unconfound.data.images.coco_annotations import LEAST_PIXELS, CocoObject, read_annotations
from unconfound.data.images.coco_objects import crop_square
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.coco import coco

HEIGHT, WIDTH = 160, 240


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))


def _square(left, top, side):
    return [[left, top, left + side, top, left + side, top + side, left, top + side]]


def _annotation(number, image, category, *, left=20, top=30, side=100, **changes):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "area": side * side,
        "bbox": [left, top, side, side],
        "segmentation": _square(left, top, side),
    } | changes


def _write(root, part, annotations, *, images=4, extension="png"):
    (root / part).mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    for number in range(images):
        pixels = np.full((HEIGHT, WIDTH, 3), 10 + number, np.uint8)
        for each in annotations:
            if each["image_id"] == number:
                left, top, side = each["bbox"][:3]
                pixels[top : top + side, left : left + side] = 200
        Image.fromarray(pixels).save(root / part / f"{number:012}.{extension}")
    content = {
        "images": [
            {"id": number, "file_name": f"{number:012}.{extension}", "height": HEIGHT, "width": WIDTH}
            for number in range(images)
        ],
        "annotations": annotations,
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
    }
    path = root / "annotations" / f"instances_{part}.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "coco"
    annotations = [_annotation(number, number % 4, (3, 18)[number % 2], left=10 * number) for number in range(8)]
    annotations.append(_annotation(90, 0, 3, side=95, area=LEAST_PIXELS - 1))
    annotations.append(_annotation(91, 1, 18, iscrowd=1, segmentation={"size": [1], "counts": []}))
    _write(root, "train2017", annotations)
    _write(root, "val2017", [_annotation(number, number % 4, (18, 3)[number % 2]) for number in range(4)])
    return root


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def test_a_sample_is_an_object_with_its_mask(root):
    for given in (root, root.parent):
        data = coco(given, reading=Reading(image_size=30))
        assert data.train.schema == Schema("images", (3, 30, 30), ("car", "dog"))
        # By image, and within it in the order of the annotations: the objects 0 and 4 stand in the first image.
        assert data.train.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
        assert data.train.names[:3] == [*["train2017/000000000000.png"] * 2, "train2017/000000000001.png"]
        assert data.tests["test"].labels.tolist() == [1, 0, 1, 0]
        assert data.labelled is data.train
        assert data.restore == {"kind": "images", "image_size": 30, "channels": 3}
    assert data.train.notes[0] == (
        "train2017: 8 of 10 annotated objects; left out are 1 crowds and 1 objects of fewer than 9,216 pixels"
    )


def test_crop_and_mask_are_cut_from_the_same_square(root):
    data = coco(root, reading=Reading(image_size=150))
    batch = _all(data.tests["test"])
    # The box of 100 pixels at column 20 and row 30 is enlarged to 150 at -5 and 5, and moved to 0 and 5.
    expected = np.zeros((150, 150), dtype=bool)
    expected[25:125, 20:120] = True
    for number in range(4):
        assert np.array_equal(batch.masks[number, 0], expected)
        assert np.array_equal(batch.inputs[number, 0], np.where(expected, 200, 10 + number))


def test_size_and_channels_are_as_asked_and_jpegs_are_reduced_alike(root):
    annotations = [_annotation(number, number, (3, 18)[number % 2]) for number in range(4)]
    _write(root, "train2017", annotations, extension="jpg")
    data = coco(root, reading=Reading(image_size=15, channels=1))
    batch = _all(data.train)
    assert batch.inputs.shape == (4, 1, 15, 15)
    assert batch.masks[:, 0, 3:12, 3:11].all()
    assert batch.masks.sum().item() / 4 == pytest.approx(15 * 15 / 1.5**2, rel=0.1)
    assert (batch.inputs[0][batch.masks[0]].float().mean() - 200).abs() < 15
    assert coco(root, reading=Reading()).train.schema.shape == (3, 64, 64)


def test_all_forms_of_a_mask_are_one(root):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[30:130, 20:120] = True
    runs = [20 * HEIGHT + 30, *([100, 60] * 99), 100, 30 + 120 * HEIGHT]
    assert sum(runs) == HEIGHT * WIDTH
    forms = {"size": [HEIGHT, WIDTH], "counts": runs}
    _write(root, "train2017", [_annotation(0, 0, 3), _annotation(1, 1, 18, segmentation=forms)])
    batch = _all(coco(root, reading=Reading(image_size=150)).train)
    assert torch.equal(batch.masks[0], batch.masks[1])


def test_streaming_gives_what_memory_gives(root):
    memory = coco(root, reading=Reading(image_size=20))
    streamed = coco(root, reading=Reading(image_size=20, memory_gib=0, workers=1))
    for one, other in ((memory.train, streamed.train), (memory.tests["test"], streamed.tests["test"])):
        first, second = _all(one), _all(other)
        for name in ("inputs", "masks", "labels", "index"):
            assert torch.equal(getattr(first, name), getattr(second, name))
        assert list(one.names) == list(other.names)
    assert any("no backgrounds are swapped" in note for note in streamed.train.notes)


def test_the_cache_knows_changed_annotations(root):
    before = _all(coco(root, reading=Reading(image_size=50)).train)
    path = root / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = _square(0, 30, 50)
    path.write_text(json.dumps(content))
    after = _all(coco(root, reading=Reading(image_size=50)).train)
    assert not torch.equal(before.masks[0], after.masks[0])
    assert torch.equal(before.masks[1:], after.masks[1:])


def test_the_existing_evaluation_gets_its_swaps_and_foregrounds(root):
    data = load_dataset(DataOptions(data="coco", data_root=root, image_size=32))
    assert list(data.tests) == ["original", "mixed-same", "mixed-rand", "only-foreground", "only-background"]
    full, alone = _all(data.labelled), _all(data.train_foreground)
    assert torch.equal(alone.inputs, full.inputs * full.masks)
    assert torch.equal(alone.labels, full.labels)


def test_damaged_and_missing_images_are_skipped_and_named(root):
    (root / "train2017" / "000000000001.png").unlink()
    (root / "train2017" / "000000000002.png").write_bytes(b"")
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(root / "train2017" / "000000000003.png")
    data = coco(root, reading=Reading(image_size=20, bad_share=0.5))
    assert len(data.train) == 2
    (note,) = [note for note in data.train.notes if "cannot be read" in note]
    assert note.startswith("6 of 12 images (50.00%) cannot be read: train2017/000000000001.png (No such file")
    assert "240 x 161 pixels, where its annotation says 240 x 160" in note
    with pytest.raises(ValueError, match=r"6 of 12 images .*bad_share allows 1\.00%"):
        coco(root, reading=Reading(image_size=20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 77}, "annotation 0: there is no image 77; repair or remove it"),
        ({"category_id": 77}, "annotation 0: there is no category 77"),
        ({"bbox": [0, 0, 0, 9]}, r"annotation 0: its bbox is \[0, 0, 0, 9\]"),
        ({"bbox": [0, 0, 5]}, r"annotation 0: its bbox is \[0, 0, 5\], not left, top, width and height"),
        ({"segmentation": [[1, 2, 3]]}, "annotation 0: one of its polygons"),
        ({"iscrowd": "many"}, "annotation 0: could not convert"),
        ({"segmentation": "text"}, "annotation 0: its segmentation is neither"),
        ({"image_id": [0]}, r"annotation 0: there is no image \[0\]"),
    ],
)
def test_damaged_annotations_are_named(root, change, message):
    _write(root, "train2017", [_annotation(0, 0, 3, **change)])
    with pytest.raises(ValueError, match=r"instances_train2017\.json, " + message) as caught:
        coco(root, reading=Reading())
    assert "\n" not in str(caught.value)


def test_what_an_annotation_or_image_lacks_is_named(root):
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    for key, first, message in (
        ("annotations", {"id": 5, "segmentation": [[0] * 6]}, "annotation 5: it lacks 'image_id'"),
        ("annotations", [], r"annotation at place 0: it is '\[\]', no object of JSON"),
        ("images", {"id": 5, "height": 3, "width": 3}, "image 5: it lacks 'file_name'"),
        ("images", {"id": 5, "file_name": "../a.jpg", "height": 3, "width": 3}, "leads out of the folder"),
        ("images", {"id": 5, "file_name": "a.jpg", "height": 0, "width": 3}, "3 x 0 pixels"),
        ("images", {"id": 5, "file_name": "a\0.jpg", "height": 3, "width": 3}, "characters that no file's name has"),
        (
            "images",
            {"id": 2, "file_name": "b.png", "height": 3, "width": 4},
            r"image number 2 stands for b\.png of 4 x 3",
        ),
        ("categories", 7, "category at place 0"),
        ("categories", {"id": 18, "name": "cat"}, "category number 18 stands for cat and for dog; give each category"),
    ):
        path.write_text(json.dumps(content | {key: [first, *content[key]]}))
        with pytest.raises(ValueError, match=message) as caught:
            coco(root, reading=Reading())
        assert "\n" not in str(caught.value)


def test_damaged_files_and_other_categories_are_refused(root):
    path = root / "annotations" / "instances_val2017.json"
    content = path.read_text()
    for damaged, message in (
        (content[:-20], r"instances_val2017\.json is damaged: .*; unpack it anew"),
        ("[]", "lacks one of the lists images, annotations, categories"),
        (content.replace('"car"', '"bus"'), r"other categories \(bus, car\): use two files of one release"),
    ):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=message) as caught:
            coco(root, reading=Reading())
        assert "\n" not in str(caught.value)
    _write(root, "val2017", [_annotation(0, 0, 3, iscrowd=1), _annotation(1, 0, 3, area=9)])
    with pytest.raises(ValueError, match=r"no object of at least 9,216 pixels among its 2 annotations \(1 crowds\)"):
        coco(root, reading=Reading())


def test_what_is_missing_is_named(root, tmp_path):
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"coco needs val2017/ in .*coco: nothing is downloaded"):
        coco(root, reading=Reading())
    (root / "annotations" / "instances_train2017.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"coco needs .*_train2017\.json, val2017/ in .*coco"):
        coco(root, reading=Reading())
    with pytest.raises(FileNotFoundError, match=r"coco needs the folder .*nowhere"):
        coco(tmp_path / "nowhere", reading=Reading())
    with pytest.raises(ValueError, match=r"coco is read from files: say which folder holds them \(--data-root\)"):
        coco(None, reading=Reading())


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((100, 60, 40, 20), (90, 40, 60)),  # room on all sides
        ((0, 0, 40, 20), (0, 0, 60)),  # moved in from the upper left
        ((220, 150, 20, 10), (210, 130, 30)),  # and from the lower right
        ((20, 10, 200, 100), (40, 0, 160)),  # as large as the image is high
    ],
)
def test_the_square_is_centred_on_the_box_and_stays_inside(box, expected):
    described = CocoObject("a.jpg", HEIGHT, WIDTH, tuple(map(float, box)), (), 0)
    assert crop_square(described) == pytest.approx(expected)


def _changed(root, change):
    """Read the set after a change of the content of its training annotations."""
    path = root / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return coco(root, reading=Reading(image_size=20)).train


def test_files_that_were_merged_without_new_numbers_are_refused(root):
    def clash(content):
        for entry in content["images"]:
            entry["id"] %= 2

    with pytest.raises(
        ValueError, match=r"instances_train2017\.json: the image number 0 stands for 0+\.png of"
    ) as caught:
        _changed(root, clash)
    assert "two files that were merged" in str(caught.value)


def test_what_is_listed_twice_alike_counts_once(root):
    def twice(content):
        for entries in content.values():
            entries.append(dict(entries[0]))

    train = _changed(root, twice)
    assert len(train) == 8
    assert "train2017: 1 annotations are listed twice alike: they count once" in train.notes


def test_annotations_that_share_a_number_or_have_none_are_all_read(root):
    def same(content):
        for entry in content["annotations"][:4]:
            entry["id"] = 5
        del content["annotations"][4]["id"]

    assert len(_changed(root, same)) == 8


@pytest.mark.parametrize(
    "outline",
    [
        [],
        None,
        [[]],
        [[], []],
        {},
        [[10, 10, 120, 120]],  # a line
        [[10, 10, 60, 60, 120, 120]],
        [[-200, 0, -50, 0, -50, 100, -200, 100]],  # beside the image
        {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]},
    ],
)
def test_an_object_without_an_outline_is_left_out(root, outline):
    train = _changed(root, lambda content: content["annotations"][0].update(segmentation=outline))
    assert train.labels.tolist() == [0, 1, 1, 0, 0, 1, 1]
    assert train.notes[0].endswith("1 objects of fewer than 9,216 pixels and 1 objects without an outline")


def test_empty_polygons_beside_others_are_nothing_and_a_missing_box_is_that_of_the_outline(root):
    before = _all(coco(root, reading=Reading(image_size=20)).train)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)

    def written(content):
        entries = content["annotations"]
        entries[0]["segmentation"] += [[]]
        del entries[1]["bbox"]
        entries[2]["bbox"] = None
        left, top, side = entries[3].pop("bbox")[:3]
        mask[top : top + side, left : left + side] = True
        ends = np.flatnonzero(np.diff(np.concatenate([[False], mask.T.ravel(), [False]])))
        counts = np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
        entries[3]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": counts}

    after = _all(_changed(root, written))
    for name in ("inputs", "masks", "labels"):
        assert torch.equal(getattr(before, name), getattr(after, name))


def test_categories_of_one_name_are_one_class(root):
    def renamed(content):
        content["categories"].append({"id": 44, "name": "dog"})
        content["annotations"][1]["category_id"] = 44

    train = _changed(root, renamed)
    assert train.schema.classes == ("car", "dog")
    assert train.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert "train2017: the categories 18 and 44 are both called dog: they are one class" in train.notes


def test_numbers_may_be_text_and_areas_may_be_missing(root):
    before = _all(coco(root, reading=Reading(image_size=20)).train)

    def written(content):
        for entry in content["images"]:
            entry["id"] = f"{entry['id']:03}"
        for entry in content["annotations"]:
            entry |= {
                "area": str(entry["area"]),
                "category_id": str(entry["category_id"]),
                "iscrowd": str(entry["iscrowd"]),
            }
        content["annotations"][0]["image_id"] = 0.0
        del content["annotations"][1]["area"]
        content["annotations"][2]["area"] = None
        # Its outline has 95 x 95 pixels.
        content["annotations"][8]["area"] = float("nan")

    after = _all(_changed(root, written))
    for name in ("inputs", "masks", "labels"):
        assert torch.equal(getattr(before, name), getattr(after, name))


def _damage(content, rng):
    """Cut, overwrite or repeat bytes, or replace a value by one of another kind."""
    kind = rng.integers(4)
    start, end = np.sort(rng.integers(0, len(content), 2))
    if kind == 0:
        return content[:start]
    if kind == 1:
        place = int(rng.integers(len(content)))
        return content[:place] + bytes([int(rng.integers(256))]) + content[place + 1 :]
    if kind == 2:
        return content[:start] + content[end:] if rng.integers(2) else content[:end] + content[start:]
    values = [*b'null [] {} -1 1e400 NaN true "\\ud800" "\\u0000"'.split(), b"[[" * 2000, b"9" * 25]
    places = [place + 1 for place, byte in enumerate(content) if byte == ord(":")]
    place = places[rng.integers(len(places))]
    ends = [at for at in (content.find(b",", place), content.find(b"}", place)) if at > 0]
    return content[:place] + values[rng.integers(len(values))] + content[min(ends) :]


def test_damaged_files_end_in_one_line_that_names_the_file(root):
    path = root / "annotations" / "instances_train2017.json"
    content, rng = path.read_bytes(), np.random.default_rng(0)
    errors = []
    for _ in range(300):
        path.write_bytes(_damage(content, rng))
        try:
            read_annotations(path, "train2017")
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 150
    assert all(str(path) in error and "\n" not in error for error in errors)
