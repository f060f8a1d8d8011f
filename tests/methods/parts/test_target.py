from __future__ import annotations

import pytest
import torch
from torch import nn

from unconfound.methods.parts.target import TargetNetwork, cosine_momentum


def test_it_starts_as_a_copy_of_its_own_and_follows_by_a_moving_average():
    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2)]
    target = TargetNetwork(modules, momentum=0.75, rises=False)
    inputs = torch.randn(5, 3)
    torch.testing.assert_close(target(inputs), modules[1](modules[0](inputs)))
    before = [parameter.clone() for parameter in target.parameters()]
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(1)
    assert all(torch.equal(old, new) for old, new in zip(before, target.parameters(), strict=True))
    target.done = 0.5
    target.follow(modules)
    learnt = [parameter for module in modules for parameter in module.parameters()]
    for old, new, followed in zip(before, target.parameters(), learnt, strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * followed)


def test_it_gets_no_gradient():
    target = TargetNetwork([nn.Linear(2, 2)], momentum=0.9, rises=True)
    assert not any(parameter.requires_grad for parameter in target.parameters())


@pytest.mark.parametrize(("done", "expected"), [(0.0, 0.99), (0.5, 0.995), (1.0, 1.0)])
def test_momentum_rises_along_half_a_cosine(done, expected):
    assert cosine_momentum(0.99, done) == pytest.approx(expected)
    module = nn.Linear(2, 2)
    target = TargetNetwork([module], momentum=0.99, rises=True)
    nn.init.ones_(module.weight)
    before = target.network[0].weight.clone()
    target.done = done
    target.follow([module])
    torch.testing.assert_close(target.network[0].weight, expected * before + 1 - expected)
