import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data.divide.splits import train_test_indices


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    test_share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_parts_are_disjoint_and_each_class_keeps_its_share(labels, test_share, seed):
    labels = torch.tensor(labels)
    train, test = train_test_indices(len(labels), labels, test_share, seed)
    assert sorted(train.tolist() + test.tolist()) == list(range(len(labels)))
    assert train.tolist() == sorted(train.tolist())
    assert test.tolist() == sorted(test.tolist())
    for label in labels.unique().tolist():
        members, tested = int((labels == label).sum()), int((labels[test] == label).sum())
        if label < 0 or members == 1:
            assert tested == 0
        else:
            assert 1 <= tested <= members - 1
            assert abs(tested - test_share * members) <= 1


def test_the_seed_decides_and_other_classes_do_not():
    labels = torch.arange(3).repeat(40)
    train, test = train_test_indices(120, labels, 0.25, 3)
    again, _ = train_test_indices(120, labels, 0.25, 3)
    other, _ = train_test_indices(120, labels, 0.25, 4)
    assert torch.equal(train, again)
    assert not torch.equal(train, other)
    alone = torch.where(labels == 1, 1, -1)
    assert train_test_indices(120, alone, 0.25, 3)[1].tolist() == test[labels[test] == 1].tolist()


def test_every_sample_is_tested_on_equally_often():
    counts = torch.zeros(20)
    for seed in range(600):
        counts[train_test_indices(20, None, 0.25, seed)[1]] += 1
    assert ((counts - 150).abs() < 5 * (600 * 0.25 * 0.75) ** 0.5).all()


def test_no_share_gives_no_test():
    train, test = train_test_indices(5, None, 0.0, 0)
    assert train.tolist() == [0, 1, 2, 3, 4]
    assert len(test) == 0


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=f"test_share is {share}"):
        train_test_indices(5, None, share, 0)


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 labels for 5 samples"):
        train_test_indices(5, torch.zeros(3, dtype=torch.long), 0.2, 0)
