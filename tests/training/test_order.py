from __future__ import annotations

import time

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from training.toy import image_source
from unconfound.training.checkpoint import Position
from unconfound.training.order import class_balanced_order, draw_by_weights, epoch_order, pass_order, seed_update


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1, 60), batch=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_every_sample_comes_at_most_once_in_whole_batches(samples, batch, seed):
    batch = min(batch, samples)
    order = epoch_order(samples, batch, seed=seed, epoch=3, data_pass=0)
    assert len(order) == samples // batch
    assert all(len(rows) == batch for rows in order)
    drawn = torch.cat(order).tolist()
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(samples))


def test_the_order_is_a_function_of_seed_epoch_and_pass_alone():
    places = [
        {"seed": seed, "epoch": epoch, "data_pass": part} for seed in (0, 1) for epoch in (0, 1) for part in (0, 1)
    ]
    orders = [tuple(torch.cat(epoch_order(50, 5, **place)).tolist()) for place in places]
    assert len(set(orders)) == len(places)
    torch.manual_seed(99)
    assert tuple(torch.cat(epoch_order(50, 5, **places[3])).tolist()) == orders[3]


def test_the_numbers_of_an_update_depend_on_its_place_not_on_what_was_drawn_before():
    def drawn(seed, **place):
        seed_update(seed, Position(**place))
        return torch.rand(4).tolist()

    first = drawn(0, epoch=1, update=2)
    torch.rand(17)
    assert drawn(0, epoch=1, update=2, step=99) == first
    others = [drawn(1, epoch=1, update=2), drawn(0, epoch=2, update=1), drawn(0, epoch=1, data_pass=1, update=2)]
    assert all(other != first for other in others)


def test_weights_say_how_often_samples_come_and_the_order_stays_a_function_of_the_place():
    weights = torch.tensor([0.0, 1.0, 3.0] * 2000)
    order = epoch_order(6000, 100, seed=0, epoch=1, data_pass=0, weights=weights)
    assert [len(rows) for rows in order] == [100] * 60
    shares = torch.bincount(torch.cat(order) % 3, minlength=3) / 6000
    assert shares[0] == 0
    assert abs(shares[2] - 0.75) < 0.03
    torch.manual_seed(5)
    again = epoch_order(6000, 100, seed=0, epoch=1, data_pass=0, weights=10 * weights)
    assert torch.equal(torch.cat(order), torch.cat(again))
    other = epoch_order(6000, 100, seed=0, epoch=2, data_pass=0, weights=weights)
    assert not torch.equal(torch.cat(order), torch.cat(other))


def test_draws_are_distributed_as_the_weights():
    weights = torch.tensor([0.0, 1.0, 2.5, 0.0, 7.0, 0.25, 0.0], dtype=torch.float64)
    counts = torch.bincount(draw_by_weights(weights, 200_000, generator=torch.Generator().manual_seed(0)), minlength=7)
    drawn, expected = counts[weights > 0].numpy(), (200_000 * weights / weights.sum())[weights > 0].numpy()
    assert counts.sum() == drawn.sum() == 200_000
    assert chisquare(drawn, expected).pvalue > 0.01
    assert chisquare(drawn, [50_000] * 4).pvalue < 1e-9


def test_more_samples_than_float32_counts_are_drawn_from():
    samples = 2**24 + 3
    weights = torch.zeros(samples)
    weights[[0, 5, samples - 2]] = torch.tensor([1.0, 1.0, 2.0])
    drawn = draw_by_weights(weights, 2000, generator=torch.Generator().manual_seed(0))
    assert drawn.unique().tolist() == [0, 5, samples - 2]
    assert abs(float((drawn == samples - 2).double().mean()) - 0.5) < 0.05


def test_weights_of_any_size_are_drawn_by():
    for scale in (1e-38, 1e38):
        drawn = draw_by_weights(torch.tensor([3.0, 0.0, 1.0]) * scale, 4000, generator=torch.Generator().manual_seed(0))
        assert abs(float((drawn == 0).double().mean()) - 0.75) < 0.03


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 30), st.integers(0, 10**6))
def test_samples_of_weight_0_never_come(samples, seed):
    weights = (torch.arange(samples) == seed % samples).float()
    (rows,) = epoch_order(samples, samples, seed=seed, epoch=0, data_pass=0, weights=weights)
    assert (rows == seed % samples).all()


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=2, max_size=12),
    instances=st.integers(1, 5),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**40),
)
def test_balanced_batches_hold_some_classes_with_some_samples_each(sizes, instances, share, seed):
    present = sum(size > 0 for size in sizes)
    assume(present)
    wanted = max(1, round(share * present))
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    batch = wanted * instances
    order = class_balanced_order(labels, batch, instances, seed=seed, epoch=2, data_pass=1)
    assert len(order) == len(labels) // batch
    for rows in order:
        assert rows.shape == (batch,)
        blocks = rows.view(wanted, instances)
        own = labels[blocks]
        assert (own == own[:, :1]).all()
        assert len(own[:, 0].unique()) == wanted
        for block, label in zip(blocks, own[:, 0].tolist(), strict=True):
            times = torch.bincount(block.unique(return_inverse=True)[1])
            # None comes again before all came.
            assert len(times) == min(instances, sizes[label])
            assert times.max() - times.min() <= 1


def test_the_order_of_balanced_batches_is_a_function_of_the_place_alone():
    labels = torch.arange(120) % 10
    places = [
        {"seed": seed, "epoch": epoch, "data_pass": part} for seed in (0, 1) for epoch in (0, 1) for part in (0, 1)
    ]
    orders = [tuple(torch.cat(class_balanced_order(labels, 12, 4, **place)).tolist()) for place in places]
    assert len(set(orders)) == len(places)
    torch.manual_seed(99)
    assert tuple(torch.cat(class_balanced_order(labels, 12, 4, **places[3])).tolist()) == orders[3]


def test_classes_and_samples_come_equally_often_in_the_long_run():
    labels = torch.tensor([0] * 300 + [1] * 30 + [2] * 3 + [3] * 667)
    order = torch.cat(
        [rows for epoch in range(20) for rows in class_balanced_order(labels, 4, 2, seed=0, epoch=epoch, data_pass=0)]
    )
    shares = torch.bincount(labels[order]) / len(order)
    assert (shares - 0.25).abs().max() < 0.01
    rare = torch.bincount(order[labels[order] == 2] - 330) / (labels[order] == 2).sum()
    assert (rare - 1 / 3).abs().max() < 0.03


def test_ten_thousand_balanced_batches_take_no_time():
    labels = torch.arange(320_000) % 60
    start = time.perf_counter()
    order = class_balanced_order(labels, 32, 4, seed=0, epoch=0, data_pass=0)
    assert len(order) == 10_000
    assert time.perf_counter() - start < 5


def test_batches_that_cannot_be_balanced_are_refused():
    labels, place = torch.arange(100) % 10, {"seed": 0, "epoch": 0, "data_pass": 0}
    with pytest.raises(
        ValueError, match="a batch of 10 does not consist of classes with 4 samples each: give a --batch-"
    ):
        class_balanced_order(labels, 10, 4, **place)
    with pytest.raises(ValueError, match="needs 12 classes, the data have 10: give a --batch-size of at most 40"):
        class_balanced_order(labels, 48, 4, **place)


def test_samples_without_a_class_cannot_be_balanced():
    labels = torch.arange(100) % 10 - 1
    with pytest.raises(ValueError, match="need the label of every sample, 10 of 100 have none: leave them out"):
        class_balanced_order(labels, 8, 4, seed=0, epoch=0, data_pass=0)


class _Asks:
    def __init__(self, instances, weights):
        self.instances_per_class, self.weights = instances, weights

    def sampling_weights(self, source, phase):
        return self.weights


def test_a_pass_comes_as_the_method_asks(monkeypatch):
    monkeypatch.setattr("unconfound.training.order.Method", _Asks)
    source = image_source(48, classes=4)
    place = {"phase": "train", "seed": 0, "epoch": 0, "data_pass": 0}
    plain = pass_order(_Asks(None, None), source, 16, **place)
    assert sorted(torch.cat(plain).tolist()) == list(range(48))
    balanced = pass_order(_Asks(8, None), source, 16, **place)
    assert all(len(source.labels[rows].unique()) == 2 for rows in balanced)
    with pytest.raises(ValueError, match="drawn by weights, or some of each class a batch, not both"):
        pass_order(_Asks(8, torch.ones(48)), source, 16, **place)
    source.labels = None
    with pytest.raises(ValueError, match="batches of 8 samples a class need labels, toys has none"):
        pass_order(_Asks(8, None), source, 16, **place)
