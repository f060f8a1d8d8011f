from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from unconfound.methods import Phase
from unconfound.training import TrainingOptions
from unconfound.training.optimizers import build_optimizer, schedule, set_learning_rate


def _shares(epochs, warmup, updates):
    return [schedule(at / updates, epochs=epochs, warmup=warmup) for at in range(epochs * updates)]


def test_the_schedule_has_its_stated_values():
    assert schedule(0.0, epochs=10, warmup=2) == 0.01
    assert schedule(1.0, epochs=10, warmup=2) == 0.5
    assert schedule(2.0, epochs=10, warmup=2) == 1.0
    assert schedule(4.0, epochs=10, warmup=2) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert schedule(6.0, epochs=10, warmup=2) == pytest.approx(0.5)
    assert schedule(10.0, epochs=10, warmup=2) == pytest.approx(0, abs=1e-15)
    assert schedule(0.0, epochs=3, warmup=0) == 1.0


@pytest.mark.parametrize(("epochs", "warmup", "updates"), [(10, 2, 7), (1, 1, 1), (1, 5, 9), (3, 0, 4), (2, 0.5, 50)])
def test_the_schedule_rises_then_falls_and_never_stands_still_at_zero(epochs, warmup, updates):
    shares = _shares(epochs, warmup, updates)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert all(0 < share <= 1 for share in shares)
    assert top <= math.ceil(min(warmup, epochs / 2) * updates)


def test_vectors_get_no_weight_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    options = TrainingOptions(optimizer="sgd", weight_decay=0.1, learning_rate=0.5)
    optimizer = build_optimizer(Phase("train", tuple(model.parameters())), options)
    decays = {parameter: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert len(decays) == len(list(model.parameters()))
    assert all(decay == (0.1 if parameter.ndim > 1 else 0.0) for parameter, decay in decays.items())


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_vectors_without_gradient_signal_keep_their_values_and_matrices_shrink(name):
    model = nn.Linear(3, 3)
    nn.init.ones_(model.bias)
    before = model.weight.detach().clone()
    options = TrainingOptions(optimizer=name, weight_decay=0.1, learning_rate=0.5)
    optimizer = build_optimizer(Phase("train", tuple(model.parameters())), options)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model.bias, torch.ones(3))
    # LARS's trust makes its step a thousandth of the weight.
    factor = {"adamw": 1 - 0.05, "sgd": 1 - 0.05, "lars": 1 - 0.5 * 0.001}[name]
    torch.testing.assert_close(model.weight.detach(), before * factor)


@pytest.mark.parametrize(("name", "rate"), [("adamw", 1e-3), ("sgd", 0.05), ("lars", 0.3), ("rmsprop", 1e-4)])
def test_the_rate_is_the_stated_one_whatever_the_batch_and_the_processes(name, rate, monkeypatch):
    parameters = (nn.Parameter(torch.ones(2, 2)),)
    for batch_size, processes in ((8, "1"), (4096, "8")):
        monkeypatch.setenv("WORLD_SIZE", processes)
        optimizer = build_optimizer(Phase("train", parameters), TrainingOptions(optimizer=name, batch_size=batch_size))
        assert [group["highest"] for group in optimizer.param_groups] == [rate]
        assert set_learning_rate(optimizer, 0.25) == rate / 4
        assert set_learning_rate(optimizer, 1.0) == rate
    stated = build_optimizer(Phase("train", parameters), TrainingOptions(optimizer=name, learning_rate=0.7))
    assert stated.param_groups[0]["lr"] == 0.7


def test_a_phase_and_its_groups_may_have_their_own_rates():
    slow, fast = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = [{"params": slow.parameters(), "lr": 0.01}, {"params": list(fast.parameters())}]
    optimizer = build_optimizer(Phase("train", groups, learning_rate=0.2), TrainingOptions(optimizer="sgd"))
    set_learning_rate(optimizer, 0.5)
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert all(rates[parameter] == 0.005 for parameter in slow.parameters())
    assert all(rates[parameter] == 0.1 for parameter in fast.parameters())
    assert len(rates) == 4
