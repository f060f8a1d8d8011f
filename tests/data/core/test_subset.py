import pytest
import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.core.subset import Subset, divided, labelled_part


@pytest.fixture
def base():
    return MemorySource(
        "toy",
        Schema("tables", (1,), ("a", "b")),
        torch.arange(10.0)[:, None],
        labels=torch.arange(10) % 2,
        groups=torch.arange(10) % 3,
        names=[f"row {number}" for number in range(10)],
        notes=("read",),
    )


def test_samples_are_those_at_the_positions_and_the_index_counts_in_the_subset(base):
    subset = Subset(base, torch.tensor([8, 3, 5]), name="part", notes=["chosen"])
    first, second = subset.batches(iter([torch.tensor([2, 0]), torch.tensor([1])]))
    assert len(subset) == 3
    assert subset.labels.tolist() == [0, 1, 1]
    assert subset.groups.tolist() == [2, 0, 2]
    assert subset.names == ["row 8", "row 3", "row 5"]
    assert subset.notes == ("chosen",)
    assert first.inputs.flatten().tolist() == [5, 8]
    assert first.index.tolist() == [2, 0]
    assert first.labels.tolist() == [1, 0]
    assert second.inputs.item() == 3
    assert second.index.tolist() == [1]


def test_texts_are_those_at_the_positions(base):
    assert Subset(base, torch.tensor([1])).texts is None
    base.texts = [f"text {number}" for number in range(10)]
    assert Subset(base, torch.tensor([8, 3])).texts == ["text 8", "text 3"]


def test_a_subset_of_a_subset_counts_in_its_own(base):
    inner = Subset(Subset(base, torch.tensor([9, 7, 5, 3])), torch.tensor([3, 1]))
    (batch,) = inner.batches([torch.tensor([0, 1])])
    assert batch.inputs.flatten().tolist() == [3, 7]
    assert batch.index.tolist() == [0, 1]


def test_statistics_are_those_of_its_samples(base):
    mean, _ = Subset(base, torch.tensor([8, 2])).statistics()
    assert mean.item() == 5


def test_batches_are_made_one_by_one(base):
    def endless():
        while True:
            yield torch.tensor([0])

    batches = Subset(base, torch.tensor([4])).batches(endless())
    assert next(batches).inputs.item() == 4


@pytest.mark.parametrize("positions", [[0, 10], [-1, 2]])
def test_positions_outside_are_refused(base, positions):
    with pytest.raises(ValueError, match="which has the samples 0 to 9"):
        Subset(base, torch.tensor(positions))


def test_the_labelled_part():
    def source(labels):
        return MemorySource("rows", Schema("tables", (1,)), torch.zeros(3, 1), labels)

    whole = source(torch.tensor([0, 1, 1]))
    assert labelled_part(whole) is whole
    assert labelled_part(source(None)) is None
    assert labelled_part(source(torch.tensor([-1, -1, -1]))) is None
    part = labelled_part(source(torch.tensor([1, -1, 0])))
    assert part.positions.tolist() == [0, 2]
    assert part.name == "rows labelled"


def test_parts_by_their_positions(base):
    everything, none = torch.arange(10), torch.arange(0)
    assert divided(base, {"train": everything, "test": none}, restore={}, notes=["as it is"]).train is base
    data = divided(base, {"train": everything[3:], "test": everything[:3]}, restore={"kind": "table"}, notes=["split"])
    assert (data.train.name, data.tests["test"].name) == ("toy", "toy test")
    assert data.train.notes == ("split",)
    assert data.tests["test"].labels.tolist() == [0, 1, 0]
    assert data.labelled is data.train
