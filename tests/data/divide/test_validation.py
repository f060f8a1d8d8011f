import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.divide.validation import with_validation
from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.tables.pixel_rows import as_rows


def _data(labels, *, labelled=None):
    """Each sample's first pixel is its number."""
    inputs = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    schema = Schema("images", (1, 8, 8), ("a", "b", "c"))
    train = MemorySource("toy", schema, inputs, torch.tensor(labels), notes=("first",))
    return Dataset(train, {"test": train}, train if labelled is None else Subset(train, torch.tensor(labelled)))


def _numbers(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch.inputs[:, 0, 0, 0].tolist()


@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(2, 40), min_size=1, max_size=3), share=st.floats(0.05, 0.9), seed=st.integers(0, 99))
def test_each_class_gives_its_share_and_no_sample_is_on_both_sides(counts, share, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    data = with_validation(_data(labels), share, seed=seed)
    assert data.labelled is data.train
    assert sorted(_numbers(data.train) + _numbers(data.validation)) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held = int((data.validation.labels == label).sum())
        assert 1 <= held <= count - 1
        assert abs(held - share * count) <= 1
    again = with_validation(_data(labels), share, seed=seed)
    assert _numbers(again.validation) == _numbers(data.validation)
    assert data.train.notes[0] == "first"
    assert "are set aside for validation" in data.train.notes[1]


def test_unlabelled_samples_stay_in_training():
    data = with_validation(_data([0, -1, 1, -1, 0, 1], labelled=[0, 2, 4, 5]), 0.5, seed=0)
    assert len(data.validation) == 2
    assert sorted(_numbers(data.train) + _numbers(data.validation)) == list(range(6))
    assert {1, 3} <= set(_numbers(data.train))
    assert sorted(_numbers(data.labelled) + _numbers(data.validation)) == [0, 2, 4, 5]


def test_data_without_labels_are_split_as_one():
    data = _data([0] * 10)
    bare = MemorySource("toy", Schema("images", (1, 8, 8)), data.train.inputs)
    split = with_validation(Dataset(bare, {}), 0.3, seed=0)
    assert len(split.validation) == 3
    assert split.labelled is None


def test_what_cannot_be_set_aside_is_refused():
    with pytest.raises(ValueError, match=r"validation_share is 0\.2 of 2 training samples, which leaves none"):
        with_validation(_data([0, 1]), 0.2, seed=0)
    strange = Dataset(_data([0, 0]).train, {}, _data([0, 0]).train)
    with pytest.raises(ValueError, match="toy validation cannot be taken out of toy, which holds other samples"):
        with_validation(strange, 0.5, seed=0)
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=rf"validation_share must be .*, got {share}"):
            DataOptions(validation_share=share)


def test_load_sets_aside_after_the_choice_of_training_samples():
    data = load_dataset(DataOptions(data="demo", train_samples=100, validation_share=0.2, test_samples=30))
    assert len(data.train) + len(data.validation) == 100
    assert len(data.train) == len(data.train_foreground)
    foreground, whole = (next(iter(each.batches([torch.arange(9)]))) for each in (data.train_foreground, data.train))
    assert torch.equal(foreground.inputs, whole.inputs * whole.masks)
    assert load_dataset(DataOptions(data="demo")).validation is None
    rows = as_rows(data)
    assert rows.validation.schema.modality == "tables"
    assert len(rows.validation) == len(data.validation)


def test_a_subset_can_lose_its_groups():
    base = MemorySource("toy", Schema("tables", (2,)), torch.zeros(4, 2), groups=torch.arange(4))
    for grouped in (True, False):
        part = Subset(base, torch.tensor([2, 3]), grouped=grouped)
        (batch,) = part.batches([torch.arange(2)])
        assert (part.groups is None) == (batch.groups is None) == (not grouped)
