import pytest

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.domains import PUBLISHED, domains, training_domains

pytestmark = pytest.mark.usefixtures("own_cache")


DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
CLASSES = ("dog", "horse")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "PACS"
    for place, domain in enumerate(DOMAINS):
        for label, name in enumerate(CLASSES):
            for number in range(5 * (1 + label)):
                picture(root / domain / name / f"{number}.png", 60 * place + 20 * label + number)
    (root / "README.txt").write_text("not an image")
    return root


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_one_domain_is_held_out_and_the_others_are_groups(root, memory):
    data = domains(root, held_out="Photo", reading=Reading(memory_gib=memory, workers=0))
    assert data.train.schema.groups == ("art_painting", "cartoon", "sketch")
    assert data.train.schema.classes == CLASSES
    assert data.train.groups.bincount().tolist() == [15, 15, 15]
    assert [name.split("/")[0] for name in data.train.names] == [
        DOMAINS[place] for place in (0, 1, 3) for _ in range(15)
    ]
    test = data.tests["test"]
    assert test.groups is None
    assert first_pixels(test) == [120 + number for number in range(5)] + [140 + number for number in range(10)]
    assert test.labels.tolist() == [0] * 5 + [1] * 10
    assert (test.name, data.train.name) == ("PACS photo", "PACS without photo")
    assert data.labelled is data.train
    assert "subset: 15 of 1,670 images of photo" in data.train.notes


@pytest.mark.parametrize(
    ("options", "held"), [({}, [1, 2]), ({"classic_split": True}, [2, 3]), ({"validation_share": 0.4}, [2, 4])]
)
def test_a_share_of_each_class_of_each_training_domain_is_set_aside(root, options, held):
    data = load_dataset(DataOptions(data="domains", data_root=root, held_out="sketch", **options))
    for domain in range(3):
        inside = data.validation.labels[data.validation.groups == domain]
        assert inside.bincount().tolist() == held
    assert not set(data.validation.names) & set(data.train.names)
    assert len(data.train) == 3 * (15 - sum(held))
    assert len(data.tests["test"]) == 15


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_a_validation_domain_is_the_validation_part_whole(root, memory):
    options = {"data": "domains", "data_root": root, "held_out": "sketch", "memory_gib": memory, "workers": 0}
    data = load_dataset(DataOptions(**options, validation_domain="Art Painting"))
    # The domains that are left are numbered anew.
    assert data.train.schema.groups == ("cartoon", "photo")
    assert data.train.groups.bincount().tolist() == [15, 15]
    assert [name.split("/")[0] for name in data.train.names] == ["cartoon"] * 15 + ["photo"] * 15
    assert data.labelled is data.train
    assert first_pixels(data.validation) == [*range(5), *range(20, 30)]
    assert data.validation.labels.tolist() == [0] * 5 + [1] * 10
    assert data.validation.groups is None
    assert (data.validation.name, data.train.name) == ("PACS art_painting", "PACS without sketch and art_painting")
    assert "15 samples, the domain art_painting, are set aside for validation" in data.train.notes
    # The test set is what it is without one.
    assert first_pixels(data.tests["test"]) == first_pixels(load_dataset(DataOptions(**options)).tests["test"])
    some = load_dataset(DataOptions(**options, validation_domain="photo", train_samples=10))
    assert (len(some.train), len(some.validation)) == (10, 15)
    assert "photo" not in {name.split("/")[0] for name in some.train.names}


def test_an_image_that_is_damaged_moves_no_other_into_another_part(root):
    (root / "cartoon" / "dog" / "0.png").write_bytes(b"no image")
    data = load_dataset(
        DataOptions(
            data="domains", data_root=root, held_out="photo", validation_domain="sketch", image_size=8, bad_share=0.1
        )
    )
    parts = {"train": data.train, "validation": data.validation, "test": data.tests["test"]}
    found = {part: {name.split("/")[0] for name in source.names} for part, source in parts.items()}
    assert found == {"train": {"art_painting", "cartoon"}, "validation": {"sketch"}, "test": {"photo"}}
    assert [len(source) for source in parts.values()] == [29, 15, 15]
    assert data.train.groups.bincount().tolist() == [15, 14]


def test_training_domains_are_listed_without_reading_an_image(root):
    for file in root.rglob("*.png"):
        file.write_bytes(b"no image")
    assert training_domains(root, held_out="Photo") == ["art_painting", "cartoon", "sketch"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation_domain": "foto"}, "there is no domain 'foto': did you mean 'photo'"),
        (
            {"validation_domain": "Sketch"},
            "--validation-domain Sketch is the domain that is held out to test on: choose it from art_painting, cart",
        ),
        ({"validation_domain": "photo", "validation_share": 0.2}, "validation_share divides samples of each domain"),
        ({"validation_domain": "photo", "classic_split": True}, "classic_split divides samples of each domain: leave"),
        (
            {"validation_domain": "photo", "unseen_classes": True},
            "unseen_classes divides classes: give --no-unseen-classes",
        ),
        ({"validation_domain": "photo", "data": "demo"}, "photo is one of --data domains, not of demo: leave --valid"),
    ],
)
def test_a_validation_domain_that_cannot_be_is_refused(root, options, expected):
    with pytest.raises(ValueError, match=expected) as raised:
        load_dataset(DataOptions(**{"data": "domains", "data_root": root, "held_out": "sketch", **options}))
    assert "\n" not in str(raised.value)


def test_two_domains_leave_none_to_train_on(tmp_path):
    for name in ("photo", "sketch"):
        picture(tmp_path / "two" / name / "dog" / "1.png", 0)
    with pytest.raises(ValueError, match="holds sketch to test on and photo to validate on, and no domain to train"):
        domains(tmp_path / "two", held_out="sketch", validation_domain="photo", reading=Reading())


def test_names_are_found_in_any_spelling_and_others_get_the_nearest(root):
    assert domains(root, held_out="ART painting", reading=Reading()).tests["test"].name == "PACS art_painting"
    with pytest.raises(ValueError, match="there is no domain 'foto': did you mean 'photo'"):
        domains(root, held_out="foto", reading=Reading())
    with pytest.raises(ValueError, match="choose --held-out from art_painting, cartoon, photo, sketch"):
        domains(root, held_out=None, reading=Reading())


def test_domains_need_the_same_classes(root):
    (root / "sketch" / "horse").rename(root / "sketch" / "zebra")
    with pytest.raises(
        ValueError, match=r"the domain art_painting of .*PACS lacks the classes zebra: all domains need"
    ):
        domains(root, held_out="photo", reading=Reading())


def test_folders_that_are_no_domains_are_refused(root, tmp_path):
    picture(root / "photo" / "loose.png", 0)
    with pytest.raises(ValueError, match=r"holds the image photo/loose\.png: images belong into DOMAIN/CLASS/"):
        domains(root, held_out="photo", reading=Reading())
    picture(tmp_path / "one" / "photo" / "dog" / "1.png", 0)
    with pytest.raises(ValueError, match="holds 1 domains: two or more"):
        domains(tmp_path / "one", held_out="photo", reading=Reading())
    for name in ("CALTECH/train/dog/1.png", "SUN/test/dog/1.png", "CALTECH/test/dog/1.png", "SUN/train/dog/1.png"):
        picture(tmp_path / "VLCS" / name, 0)
    with pytest.raises(ValueError, match=r"holds DOMAIN/test\|train where classes belong"):
        domains(tmp_path / "VLCS", held_out="SUN", reading=Reading())
    with pytest.raises(FileNotFoundError, match="there is none; nothing is downloaded"):
        domains(tmp_path / "nowhere", held_out="SUN", reading=Reading())
    with pytest.raises(ValueError, match="--data-root"):
        domains(None, held_out="SUN", reading=Reading())


def test_the_published_counts():
    assert [sum(counts.values()) for counts in PUBLISHED.values()] == [9991, 10_729, 15_588]


def test_real_pacs(data_root):
    data = load_dataset(DataOptions(data="domains", data_root=data_root / "PACS", held_out="Sketch", image_size=32))
    assert len(data.tests["test"]) == 175
    assert len(data.validation) == 3 * 7 * 5
    assert len(data.train) == 3 * 7 * 20
    assert "subset: 175 of 3,929 images of sketch" in data.train.notes
