import pytest

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.celeba import PUBLISHED, celeba

pytestmark = pytest.mark.usefixtures("own_cache")


# Blond_Hair, Male, Young, part.
FACES = [(1, -1, 1, 0), (-1, 1, -1, 0), (-1, -1, 1, 1), (1, 1, 1, 2), (-1, -1, -1, 0), (1, 1, -1, 0), (-1, 1, 1, 2)]


def _write(root, *, form):
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{number + 1:06}.jpg" for number in range(len(FACES))]
    for number, name in enumerate(names):
        picture(root / "img_align_celeba" / name, 30 * number, shape=(218, 178))
    if form == "txt":
        rows = [
            f"{name} {' '.join(f'{value:2}' for value in face[:3])}" for name, face in zip(names, FACES, strict=True)
        ]
        (root / "list_attr_celeba.txt").write_text("\n".join([f"{len(FACES)}", "Blond_Hair Male Young ", *rows]) + "\n")
        (root / "list_eval_partition.txt").write_text(
            "".join(f"{name} {face[3]}\n" for name, face in zip(names, FACES, strict=True))
        )
    else:
        rows = [f"{name},{','.join(map(str, face[:3]))}" for name, face in zip(names, FACES, strict=True)]
        (root / "list_attr_celeba.csv").write_text("\n".join(["image_id,Blond_Hair,Male,Young", *rows]) + "\n")
        rows = [f"{name},{face[3]}" for name, face in zip(names, FACES, strict=True)]
        (root / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *rows]) + "\n")
    return root


@pytest.mark.parametrize("form", ["txt", "csv"])
@pytest.mark.parametrize(("label", "group", "places"), [(None, None, (0, 1)), ("Young", "Blond_Hair", (2, 0))])
def test_the_published_layout(tmp_path, form, label, group, places):
    root = _write(tmp_path / "celeba", form=form)
    for given in (root, root.parent):
        data = celeba(given, label=label, group=group, reading=Reading(image_size=8, workers=0))
        for source, part in ((data.train, 0), (data.validation, 1), (data.tests["test"], 2)):
            faces = [(number, face) for number, face in enumerate(FACES) if face[3] == part]
            labels = [int(face[places[0]] > 0) for _, face in faces]
            assert source.labels.tolist() == labels
            held = [int(face[places[1]] > 0) for _, face in faces]
            assert source.groups.tolist() == [2 * first + second for first, second in zip(labels, held, strict=True)]
            assert first_pixels(source) == pytest.approx([30 * number for number, _ in faces], abs=3)
    default = label is None
    assert any("subset: train has 1 of 71,629 not Blond_Hair, not Male" in note for note in data.train.notes) == default
    assert data.train.schema.groups[2] == ("Blond_Hair, not Male" if default else "Young, not Blond_Hair")


def test_it_is_read_by_its_name(tmp_path):
    root = _write(tmp_path / "celeba", form="txt")
    data = load_dataset(DataOptions(data="celeba", data_root=root, image_size=16, group="Young"))
    assert data.train.schema.groups[3] == "Blond_Hair, Young"
    assert data.train.schema.classes == ("not Blond_Hair", "Blond_Hair")


def test_the_published_counts():
    assert [sum(counts) for counts in PUBLISHED.values()] == [162_770, 19_867, 19_962]


def test_what_is_missing_or_damaged_is_named(tmp_path):
    root = _write(tmp_path / "celeba", form="txt")
    reading = Reading(image_size=8)
    with pytest.raises(ValueError, match="celeba has no attribute 'Blonde': did you mean 'Blond_Hair'"):
        celeba(root, label="Blonde", reading=reading)
    with pytest.raises(ValueError, match="label and group are both 'Male'"):
        celeba(root, label="Male", reading=reading)
    listed, parts = root / "list_attr_celeba.txt", root / "list_eval_partition.txt"
    kept = parts.read_text()
    for text in (kept.replace("000002.jpg 0", "000002.jpg 7"), kept.replace("000002.jpg 0\n", "")):
        parts.write_text(text)
        with pytest.raises(ValueError, match=r"list_eval_partition in .* says (7|nan|7\.0) of 000002\.jpg: 0, 1 or 2"):
            celeba(root, reading=reading)
    parts.write_text(kept)
    listed.write_text(listed.read_text().replace("000001.jpg  1", "000001.jpg  5"))
    with pytest.raises(ValueError, match="is damaged: Blond_Hair must be 1 or -1"):
        celeba(root, reading=reading)
    listed.write_text("")
    with pytest.raises(ValueError, match="is damaged: "):
        celeba(root, reading=reading)
    listed.unlink()
    with pytest.raises(FileNotFoundError, match=r"celeba needs list_attr_celeba\.txt or list_attr_celeba\.csv in"):
        celeba(root, reading=reading)
    (root / "img_align_celeba").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match="celeba needs img_align_celeba/ in"):
        celeba(root, reading=reading)
