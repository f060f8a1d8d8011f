import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Dataset
from unconfound.data.compose.every_scene import every_scene
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.imagenet9 import VARIANTS, imagenet9, imagenet9_tests, read_class_map
from unconfound.evaluation.background import background_gap
from unconfound.evaluation.embed import embed
from unconfound.evaluation.evaluate import evaluate
from unconfound.evaluation.judging import Judging

CLASSES = ("dog", "bird", "wheeled vehicle", "reptile", "carnivore", "insect", "musical instrument", "primate", "fish")
MIXED = ("mixed_same", "mixed_rand", "mixed_next")
SIZE = 8
# "n1_10.JPEG" comes after "n1_1.JPEG", but "fg_n1_10_bg..." before "fg_n1_1_bg...": variants are not paired by order.
NUMBERS = (1, 10, 2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))


def _picture(path, foreground, background):
    """The lower half shows the foreground, the upper half what it stands on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((SIZE, SIZE, 3), 20 * background, np.uint8)
    pixels[SIZE // 2 :] = 20 * foreground
    Image.fromarray(pixels).save(path, quality=100)


def _write(base):
    for label, name in enumerate(CLASSES):
        for number, written in enumerate(NUMBERS):
            foreground = f"n{label:08}_{written}"
            inside = f"val/0{label}_{name}"
            other = {"mixed_same": label, "mixed_rand": (label + number) % 9, "mixed_next": (label + 1) % 9}
            for variant in MIXED:
                background = f"n{other[variant]:08}_{9 - number}"
                _picture(base / variant / inside / f"fg_{foreground}_bg_{background}.JPEG", label, other[variant])
            for variant in set(VARIANTS.values()) - set(MIXED):
                shown = label if variant in ("original", "only_fg") else 0
                stands = 0 if variant == "only_fg" else label
                _picture(base / variant / inside / f"{foreground}.JPEG", shown, stands)
            mask = np.zeros((SIZE, SIZE), dtype=bool)
            mask[SIZE // 2 :, number] = True
            path = base / "fg_mask" / inside / f"{foreground}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, mask)


def _train(root, *, only_foreground=True):
    for label, name in enumerate(CLASSES):
        for number in range(4):
            file = f"train/0{label}_{name}/n{label:08}_{number + 10}.JPEG"
            _picture(root / "original" / file, label, label)
            if only_foreground:
                _picture(root / "only_fg" / file, label, 0)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data" / "imagenet9"
    _write(root / "bg_challenge")
    _train(root)
    return root


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def _brightness(images):
    """An encoder that sees foreground and background apart."""
    values = images.float() / 255
    return torch.stack([values[..., SIZE // 2 :, :].mean((1, 2, 3)), values[..., : SIZE // 2, :].mean((1, 2, 3))], 1)


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_the_published_layout(root, memory):
    for given in (root, root.parent):
        data = imagenet9(given, reading=Reading(memory_gib=memory, workers=0))
        assert data.train.schema.classes == CLASSES
        assert data.train.schema.shape == (3, SIZE, SIZE)
        assert data.train.labels.tolist() == [label for label in range(9) for _ in range(4)]
        assert list(data.tests) == list(VARIANTS)
        for source in data.tests.values():
            assert source.labels.tolist() == [label for label in range(9) for _ in range(3)]
        assert data.restore == {"kind": "images", "image_size": SIZE, "channels": 3}


def test_foregrounds_stand_in_the_same_order_in_all_variants_that_show_them(root):
    tests = imagenet9(root, reading=Reading()).tests
    foregrounds = [f"n{label:08}_{number}" for label in range(9) for number in NUMBERS]
    for variant in ("original", "mixed-same", "mixed-rand", "mixed-next", "only-foreground"):
        stems = [name.rpartition("/")[2].removesuffix(".JPEG") for name in tests[variant].names]
        assert [stem.removeprefix("fg_").partition("_bg_")[0] for stem in stems] == foregrounds
        lower = _all(tests[variant]).inputs[:, 0, SIZE - 1, 0]
        assert lower.tolist() == pytest.approx([20 * label for label in range(9) for _ in range(3)], abs=6)


def test_masks_come_with_every_variant_that_shows_the_foreground(root):
    tests = imagenet9(root, reading=Reading()).tests
    for variant in ("original", "mixed-same", "mixed-rand", "mixed-next", "only-foreground"):
        masks = _all(tests[variant]).masks[:, 0]
        assert masks[:, SIZE // 2 :].any(1).nonzero()[:, 1].tolist() == [0, 1, 2] * 9
        assert not masks[:, : SIZE // 2].any()
    assert _all(tests["no-foreground"]).masks is None
    shutil.rmtree(root / "bg_challenge" / "fg_mask")
    assert _all(imagenet9(root, reading=Reading()).tests["original"]).masks is None


def test_the_existing_evaluation_gives_gap_and_cells(root):
    data = load_dataset(DataOptions(data="imagenet9", data_root=root))
    assert data.labelled is data.train
    assert torch.equal(data.labelled.labels, data.train_foreground.labels)
    assert [name.split("/", 1)[1] for name in data.labelled.names] == [
        name.split("/", 1)[1] for name in data.train_foreground.names
    ]

    def background_only(images):
        return _brightness(images)[:, 1:]

    result, *_ = evaluate(background_only, data, name="leans on background", judging=Judging(neighbours=1))
    knn = {test: figures["knn"].value for test, figures in result.tests.items()}
    assert knn["mixed-same"] == 1
    # Of three foregrounds of a class only the first stands on its own class's background.
    assert knn["mixed-rand"] == pytest.approx(1 / 3)
    assert knn["mixed-next"] == 0
    assert result.background["background_gap_knn"].value == pytest.approx(2 / 3)
    assert set(result.cells) == {"full/full", "full/foreground", "foreground/full", "foreground/foreground"}


def test_without_only_fg_training_images_there_are_no_cells(root):
    shutil.rmtree(root / "only_fg")
    data = imagenet9(root, reading=Reading())
    assert data.train_foreground is None
    assert data.labelled is data.train


def test_training_images_without_their_foreground_are_kept_from_the_probes_alone(root):
    (root / "only_fg" / "train" / "08_fish" / "n00000008_10.JPEG").unlink()
    data = imagenet9(root, reading=Reading())
    assert (len(data.train), len(data.labelled), len(data.train_foreground)) == (36, 35, 35)
    assert any("probes are fitted on 35 of 36 images" in note for note in data.train.notes)


def test_a_foreground_that_one_variant_lacks_or_that_is_damaged_is_left_out_of_all(root):
    base = root / "bg_challenge"
    next((base / "mixed_rand" / "val" / "03_reptile").iterdir()).unlink()
    (base / "original" / "val" / "00_dog" / "n00000000_1.JPEG").write_bytes(b"")
    tests = imagenet9(root, reading=Reading(bad_share=0.1)).tests
    for variant in ("original", "mixed-same", "mixed-rand", "mixed-next", "only-foreground"):
        assert len(tests[variant]) == 25
        assert not any("n00000000_1." in name or "fg_n00000000_1_" in name for name in tests[variant].names)
    assert len(tests["no-foreground"]) == 27
    notes = imagenet9(root, reading=Reading(bad_share=0.1)).train.notes
    assert any("25 foregrounds are in all of original, mixed-same" in note and "2 more" in note for note in notes)


def test_variants_beside_the_training_images_and_missing_ones(tmp_path):
    _write(tmp_path)
    _train(tmp_path, only_foreground=False)
    for variant in ("mixed_next", "no_fg"):
        shutil.rmtree(tmp_path / variant)
    data = imagenet9(tmp_path, reading=Reading())
    assert list(data.tests) == [name for name in VARIANTS if name not in ("mixed-next", "no-foreground")]
    assert {"mixed_next is not there", "no_fg is not there"} <= set(data.train.notes)
    for missing, message in (
        ("mixed_same", r"imagenet9 needs mixed_same/val in .*Backgrounds Challenge; nothing is downloaded"),
        (
            "original/train",
            r"imagenet9 needs the training images original/train/00_dog, \.\.\. in .*Challenge; nothing",
        ),
    ):
        shutil.rmtree(tmp_path / missing)
        with pytest.raises(FileNotFoundError, match=message):
            imagenet9(tmp_path, reading=Reading())
    with pytest.raises(ValueError, match="say which folder holds them"):
        imagenet9(None, reading=Reading())


def test_other_classes_names_and_double_foregrounds_are_refused(root):
    base = root / "bg_challenge"
    folder = base / "mixed_same" / "val" / "08_fish"
    kept = next(folder.iterdir())
    _picture(folder / f"{kept.name.partition('_bg_')[0]}_bg_n7_7.JPEG", 8, 8)
    with pytest.raises(ValueError, match="imagenet9 mixed-same shows 1 foregrounds twice"):
        imagenet9(root, reading=Reading())
    (folder / f"{kept.name.partition('_bg_')[0]}_bg_n7_7.JPEG").unlink()
    _picture(base / "original" / "val" / "goat" / "1.JPEG", 0, 0)
    with pytest.raises(ValueError, match=r"original/val holds goat/1\.JPEG, which is in none of the class folders"):
        imagenet9(root, reading=Reading())
    shutil.rmtree(base / "original" / "val" / "goat")
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"val holds the classes dog, .*, primate: the nine of ImageNet-9"):
        imagenet9(root, reading=Reading())
    for number, file in enumerate(sorted((base / "mixed_rand" / "val").rglob("*.JPEG"))):
        file.rename(file.with_name(f"{number}.JPEG"))
    _write(base / "again")
    shutil.copytree(base / "again" / "mixed_same" / "val" / "08_fish", folder)
    with pytest.raises(ValueError, match="have no foreground in common by the names of their files"):
        imagenet9(root, reading=Reading())


def test_a_missing_mask_is_named(root):
    (root / "bg_challenge" / "fg_mask" / "val" / "00_dog" / "n00000000_2.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 27 masks are missing, the first .*00_dog/n00000000_2\.npy"):
        imagenet9(root, reading=Reading())


def _map(path, **changes):
    # Two classes of ImageNet for each of the nine, then none.
    content = {str(number): number % 9 if number < 18 else -1 for number in range(1000)} | changes
    path.write_text(json.dumps(content))
    return path


def test_a_classifier_of_a_thousand_classes_is_judged_through_the_map(root, tmp_path):
    shutil.rmtree(root / "original")
    tests = imagenet9_tests(root, reading=Reading())
    class_map = read_class_map(_map(tmp_path / "in_to_in9.json"))
    assert class_map.shape == (1000,)
    assert class_map[class_map >= 0].bincount().tolist() == [2] * 9
    assert (class_map == -1).sum() == 982

    def answer(variant):
        """It names the background, by the second of its class's two classes, and a class outside of the nine once."""
        embeddings = embed(_brightness, tests[variant])
        named = (embeddings.features[:, 1] * 255 / 20).round().long() + 9
        named[0] = 999
        return embeddings, class_map[named]

    same, same_predictions = answer("mixed-same")
    rand, rand_predictions = answer("mixed-rand")
    gap = background_gap(same, rand, same_predictions=same_predictions, rand_predictions=rand_predictions)
    assert gap.value == pytest.approx((26 - 8) / 27)


def test_damaged_maps_are_refused(tmp_path):
    path = tmp_path / "in_to_in9.json"
    with pytest.raises(
        FileNotFoundError, match=r"there is no .*in_to_in9\.json: the Backgrounds Challenge publishes it"
    ):
        read_class_map(path)
    for content, message in (("{", "is damaged"), ("[]", "is no map"), ('{"0": 1}', "no map of the classes 0 to 999")):
        path.write_text(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_class_map(path)
        assert "\n" not in str(caught.value)
    for value in (9, -2, 1.0, True, "1", None):
        with pytest.raises(ValueError, match=r"maps the class 7 to .*: 0 to 8, or -1 for none, is needed"):
            read_class_map(_map(path, **{"7": value}))


def test_every_background_of_the_challenge_under_every_foreground(root):
    tests = imagenet9_tests(root, reading=Reading(workers=0))
    sources = every_scene(Dataset(tests["original"], dict(tests)), backgrounds_per_class=None)
    assert len(sources) == 9 * len(NUMBERS)
    for source in list(sources.values())[::7]:
        batch, original = _all(source), _all(tests["original"])
        masks = original.masks.expand(-1, 3, -1, -1)
        assert batch.inputs[masks].equal(original.inputs[masks])
        scene = int(source.scenes[0])
        # The background shows its class by its brightness.
        assert batch.inputs[:, 0, 0, 0].tolist() == pytest.approx([20 * scene] * len(source), abs=6)
