import pytest
import torch

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.every_scene import every_scene
from unconfound.data.load import DataOptions, load_dataset


@pytest.fixture(scope="module")
def demo() -> Dataset:
    return load_dataset(DataOptions(data="demo", test_samples=60))


def _whole(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def test_all_foregrounds_stand_on_the_same_backgrounds(demo):
    sources = every_scene(demo, backgrounds_per_class=2, seed=3)
    assert list(sources)[:3] == ["background 1 of 0", "background 2 of 0", "background 1 of 1"]
    assert [int(source.scenes[0]) for source in sources.values()] == [label for label in range(10) for _ in range(2)]
    original, bare = _whole(demo.tests["original"]), _whole(demo.tests["only-background"])
    masks = original.masks.expand(-1, 3, -1, -1)
    for source in sources.values():
        batch = _whole(source)
        assert torch.equal(batch.labels, original.labels)
        assert batch.inputs[masks].equal(original.inputs[masks])
        standing = batch.inputs.clone()
        # What is seen of the background is a scene of the class that `scenes` says.
        givers = bare.inputs[demo.tests["only-background"].scenes == source.scenes[0]]
        same = (standing[0] == givers) | masks[0]
        assert same.flatten(1).all(1).any()
        reference = torch.where(masks[0], standing[1], standing[0])
        both = ~masks[0] & ~masks[1]
        assert reference[both].equal(standing[1][both])
    again = every_scene(demo, backgrounds_per_class=2, seed=3)
    assert all(_whole(again[name]).inputs.equal(_whole(source).inputs) for name, source in sources.items())


def test_all_backgrounds_on_request(demo):
    assert len(every_scene(demo, backgrounds_per_class=None)) == 60


def test_where_no_scene_is_known_a_background_is_that_of_its_class():
    schema = Schema("images", (1, 8, 8), ("a", "b"))
    masks = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    tests = {
        name: MemorySource(name, schema, torch.full((4, 1, 8, 8), value, dtype=torch.uint8), labels, masks=masks)
        for name, value, labels in (
            ("original", 9, torch.tensor([0, 1, 0, 1])),
            ("only-background", 5, torch.ones(4).long()),
        )
    }
    sources = every_scene(Dataset(tests["original"], tests))
    assert list(sources) == ["background 1 of b"]
    assert (_whole(sources["background 1 of b"]).inputs == 5).all()
    unlabelled = MemorySource("bare", schema, torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="bare has no classes"):
        every_scene(Dataset(tests["original"], tests | {"only-background": unlabelled}))


def test_without_masks_or_backgrounds_there_is_nothing_to_swap():
    schema = Schema("images", (1, 8, 8), ("a", "b"))
    bare = MemorySource("plain", schema, torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4) % 2)
    with pytest.raises(ValueError, match="plain has no test sets original and only-background"):
        every_scene(Dataset(bare, {"test": bare}))
    sources = every_scene(Dataset(bare, {"original": bare, "only-background": bare}))
    with pytest.raises(ValueError, match="plain has no masks"):
        _whole(sources["background 1 of a"])


def test_an_option_adds_them_to_the_data_and_to_fewer_test_samples(demo):
    options = DataOptions(data="demo", test_samples=60, adversarial_backgrounds=2)
    dataset = load_dataset(options)
    wanted = every_scene(demo, backgrounds_per_class=2)
    assert dataset.adversarial.keys() == wanted.keys()
    assert not demo.adversarial
    assert _whole(dataset.adversarial["background 1 of 3"]).inputs.equal(_whole(wanted["background 1 of 3"]).inputs)
    with pytest.raises(ValueError, match="adversarial_backgrounds must be at least 0, got -1"):
        DataOptions(adversarial_backgrounds=-1)
