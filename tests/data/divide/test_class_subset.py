import pytest
import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.divide.class_subset import ClassSubset


@pytest.fixture
def base():
    return MemorySource(
        "toy",
        Schema("tables", (1,), ("a", "b", "c", "d")),
        torch.arange(8.0)[:, None],
        labels=torch.tensor([0, 1, 2, 3, -1, 2, 1, 0]),
        groups=torch.arange(8) % 2,
        notes=("read",),
    )


def test_kept_classes_are_numbered_anew_in_the_order_they_are_kept(base):
    part = ClassSubset(base, [2, 0], name="part", notes=["chosen"])
    assert part.schema.classes == ("c", "a")
    assert part.labels.tolist() == [1, 0, 0, 1]
    assert part.groups.tolist() == [0, 0, 1, 1]
    assert (part.name, part.notes) == ("part", ("chosen",))
    first, second = part.batches(iter([torch.tensor([3, 1]), torch.tensor([0])]))
    assert first.inputs.flatten().tolist() == [7, 2]
    assert first.labels.tolist() == [1, 0]
    assert first.index.tolist() == [3, 1]
    assert second.inputs.item() == 0
    assert second.labels.tolist() == [1]


def test_a_subset_of_it_and_it_of_a_subset(base):
    inner = Subset(ClassSubset(base, [1, 2]), torch.tensor([3, 0]))
    (batch,) = inner.batches([torch.tensor([0, 1])])
    assert (batch.inputs.flatten().tolist(), batch.labels.tolist()) == ([6, 1], [0, 0])
    outer = ClassSubset(Subset(base, torch.tensor([7, 5, 3])), [3, 2])
    (batch,) = outer.batches([torch.tensor([0, 1])])
    assert (batch.inputs.flatten().tolist(), batch.labels.tolist()) == ([5, 3], [1, 0])


def test_a_source_without_labels_is_refused(base):
    bare = MemorySource("bare", Schema("tables", (1,)), base.inputs)
    with pytest.raises(ValueError, match="bare has no labels: its classes cannot be told apart"):
        ClassSubset(bare, [0])
