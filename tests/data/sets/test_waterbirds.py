import pytest
import torch

from data.pictures import first_pixels, picture
from unconfound.data.images.reading import Reading
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sets.waterbirds import GROUPS, PUBLISHED, WATERBIRDS, waterbirds

pytestmark = pytest.mark.usefixtures("own_cache")


# y, place, split of each image; the parts are mixed, as in the published table.
ROWS = [(0, 0, 0), (1, 1, 2), (0, 1, 0), (1, 0, 1), (1, 1, 0), (0, 0, 2), (1, 0, 0), (0, 1, 1), (0, 0, 0)]


@pytest.fixture(params=WATERBIRDS.folders)
def root(tmp_path, request):
    root = tmp_path / "data" / request.param
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for number, (label, place, split) in enumerate(ROWS):
        name = f"{number:03}.Bird/Bird_{number}.jpg"
        picture(root / name, 20 * number, shape=(8, 12))
        lines.append(f"{number + 1},{name},{label},{split},{place},/o/ocean/{number}.jpg")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_the_published_layout(root, memory):
    for given in (root, root.parent):
        data = waterbirds(given, reading=Reading(image_size=8, memory_gib=memory, workers=0))
        for source, split in ((data.train, 0), (data.validation, 1), (data.tests["test"], 2)):
            expected = [(number, row) for number, row in enumerate(ROWS) if row[2] == split]
            assert source.labels.tolist() == [label for _, (label, _, _) in expected]
            assert source.groups.tolist() == [2 * label + place for _, (label, place, _) in expected]
            assert first_pixels(source) == pytest.approx([20 * number for number, _ in expected], abs=3)
            (batch,) = source.batches([torch.arange(len(source))])
            assert torch.equal(batch.groups, source.groups)
            assert source.schema.groups == GROUPS
        assert data.train.schema.classes == ("landbird", "waterbird")
        assert data.labelled is data.train
    assert (
        "subset: train has 2 of 3,498 landbird on land; 1 of 184 landbird on water; 1 of 56 waterbird on land; "
        "1 of 1,057 waterbird on water"
    ) in data.train.notes
    assert sum("subset" in note for note in data.train.notes) == 3


def test_it_is_read_by_its_name_with_its_own_validation_part(root):
    data = load_dataset(DataOptions(data="waterbirds", data_root=root, image_size=16, validation_share=0.5))
    assert data.train.schema.shape == (3, 16, 16)
    assert (len(data.train), len(data.validation), len(data.tests["test"])) == (5, 2, 2)


def test_the_published_counts():
    assert sum(map(sum, PUBLISHED.values())) == 11_788


def test_what_is_missing_or_damaged_is_named(root):
    table = root / "metadata.csv"
    kept = table.read_text()
    for damaged, match in (
        (kept.replace(",y,", ",label,"), "metadata.csv has no column y: use the file as published"),
        (kept.replace("0,2,0,", "0,3,0,"), "row 6 has 3 as split: 0, 1, 2 is needed"),
        (kept.replace("Bird_8", "Bird_9"), r"1 of 9 images \(11.11%\) cannot be read: 008.Bird/Bird_9.jpg"),
    ):
        table.write_text(damaged)
        with pytest.raises(ValueError, match=match) as caught:
            waterbirds(root, reading=Reading(image_size=8))
        assert "\n" not in str(caught.value)
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"waterbirds needs metadata\.csv in .*nothing is downloaded"):
        waterbirds(root, reading=Reading())
    with pytest.raises(ValueError, match="say which folder holds them"):
        waterbirds(None, reading=Reading())
