from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.training.checkpoint import Position
from unconfound.training.order import epoch_order, seed_update


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


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 30), st.integers(0, 10**6))
def test_samples_of_weight_0_never_come(samples, seed):
    weights = (torch.arange(samples) == seed % samples).float()
    (rows,) = epoch_order(samples, samples, seed=seed, epoch=0, data_pass=0, weights=weights)
    assert (rows == seed % samples).all()
