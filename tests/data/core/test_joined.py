import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.core.joined import joined
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource


def _memory(start, count, *, shape=(2,), masks=False, **more):
    inputs = (start + torch.arange(count).float())[:, None].expand(-1, *shape).contiguous()
    schema = Schema("tables", shape, ("a", "b"))
    names = [f"row {start + number}" for number in range(count)]
    labels = torch.arange(count) % 2
    source = MemorySource(f"from {start}", schema, inputs, labels, names=names, **more)
    if masks:
        source.masks = torch.ones(count, 1, 1, 1, dtype=torch.bool)
    return source


def test_subsets_of_one_source_become_a_subset_of_it():
    base = _memory(0, 6)
    whole = joined(
        [Subset(base, torch.tensor([4, 1])), Subset(Subset(base, torch.tensor([5, 0])), torch.tensor([1]))],
        name="whole",
    )
    assert whole.base is base
    assert whole.positions.tolist() == [0, 1, 4]
    assert whole.name == "whole"


def test_sources_in_memory_become_one_with_all_that_is_known():
    first, second = (
        _memory(0, 3, groups=torch.arange(3), scenes=torch.arange(3)),
        _memory(10, 2, groups=torch.zeros(2).long()),
    )
    whole = joined([Subset(first, torch.tensor([2, 0])), second], name="whole")
    assert whole.inputs[:, 0].tolist() == [2, 0, 10, 11]
    assert whole.labels.tolist() == [0, 0, 0, 1]
    assert whole.groups.tolist() == [2, 0, 0, 0]
    assert whole.scenes is None
    assert whole.names == ["row 2", "row 0", "row 10", "row 11"]


def test_one_source_stays_as_it_is():
    first = _memory(0, 3)
    assert joined([first], name="whole") is first


def test_what_cannot_be_joined_is_none():
    first = _memory(0, 3)
    assert joined([first, _memory(5, 3, shape=(3,))], name="x") is None
    assert joined([first, _memory(5, 3, groups=torch.zeros(3).long())], name="x") is None
    assert joined([first, _memory(5, 3, masks=True)], name="x") is None
    text = SequenceSource("text", Schema("series", (1,)), torch.zeros(4, 1), torch.tensor([2, 2]))
    assert joined([first, text], name="x") is None
