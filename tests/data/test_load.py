import pytest
import torch

from unconfound.data.load import DataOptions, load


def test_fewer_training_samples_on_request_leave_test_sets_whole():
    whole = load(DataOptions(data="demo"))
    fewer = load(DataOptions(data="demo", train_samples=50))
    assert len(fewer.train) == len(fewer.train_foreground) == 50
    assert fewer.labelled is fewer.train
    assert {name: len(source) for name, source in fewer.tests.items()} == {
        name: len(source) for name, source in whole.tests.items()
    }
    assert fewer.train.notes[-1] == f"50 of {len(whole.train):,} training samples, as asked"
    assert torch.equal(fewer.train.labels, load(DataOptions(data="demo", train_samples=50)).train.labels)
    other = load(DataOptions(data="demo", train_samples=50, data_seed=1))
    assert not torch.equal(fewer.train.positions, other.train.positions)
    assert len(load(DataOptions(data="demo", train_samples=10**6)).train) == len(whole.train)
    with pytest.raises(ValueError, match="train_samples must be at least 1, got 0"):
        DataOptions(train_samples=0)


def test_fewer_test_samples_are_the_same_of_every_test_set():
    whole = load(DataOptions(data="demo"))
    fewer = load(DataOptions(data="demo", test_samples=40))
    assert len(fewer.train) == len(whole.train)
    original = fewer.tests["original"]
    assert len(original) == 40
    for name, source in fewer.tests.items():
        assert torch.equal(source.positions, original.positions), name
        assert torch.equal(source.labels, whole.tests[name].labels[original.positions])
