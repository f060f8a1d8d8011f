from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from methods.toy import GROUPED, convnet, grouped_batch, grouped_source
from unconfound.data import Batch, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import IRM
from unconfound.methods.irm import IRMOptions


def _method(**options):
    torch.manual_seed(0)
    return IRM(convnet(GROUPED), GROUPED, IRMOptions(**options)).double()


@pytest.mark.parametrize("weight", [0.3, 50.0])
def test_the_loss_is_that_of_the_paper(weight):
    method = _method(penalty_weight=weight, penalty_anneal_epochs=2)
    batch = grouped_batch(9)
    batch = replace(batch, inputs=batch.inputs.double() / 255)
    for epoch in range(4):
        method.before_epoch(epoch, grouped_source())
        step = method(batch)
        logits = method.linear_classifier()(method.encoder(batch.inputs)).detach()
        risks, penalties = [], []
        for environment in batch.groups.unique():
            own = batch.groups == environment
            scale = torch.ones((), dtype=torch.float64, requires_grad=True)
            risk = F.cross_entropy(logits[own] * scale, batch.labels[own])
            penalties.append(torch.autograd.grad(risk, scale)[0].item() ** 2)
            risks.append(risk.item())
        now = weight if epoch >= 2 else 1.0
        expected = (sum(risks) + now * sum(penalties)) / len(risks) / max(now, 1.0)
        assert step.loss.item() == pytest.approx(expected, rel=1e-6)
        assert step.scalars["penalty"].item() == pytest.approx(sum(penalties) / len(penalties))


def test_the_weight_is_saved():
    method, fresh = _method(penalty_weight=7.0), _method()
    assert method.penalty_weight.item() == 1
    method.before_epoch(1, grouped_source())
    fresh.load_state_dict(method.state_dict())
    assert fresh.penalty_weight.item() == 7
    assert _method(penalty_weight=7.0, penalty_anneal_epochs=0).penalty_weight.item() == 7


def test_one_environment_is_refused():
    source = grouped_source(8)
    with pytest.raises(ValueError, match="all 8 samples of toys are of one, 'right': use at least two"):
        _method().before_epoch(0, replace(source, groups=torch.ones(8, dtype=torch.long)))


def test_environments_are_drawn_equally_often_unless_told_otherwise():
    source = grouped_source(60)
    weights = _method().sampling_weights(source, "train")
    sums = torch.zeros(4, dtype=torch.float64).index_add(0, source.groups, weights)
    torch.testing.assert_close(sums, torch.tensor([1.0, 1, 1, 0]).double())
    assert _method(balanced=False).sampling_weights(source, "train") is None


def test_a_feature_that_changes_with_the_environment_loses_weight():
    """Colored MNIST in two numbers: the second one is right 90 % and 70 % of the time, the first one 75 % in both."""
    generator = torch.Generator().manual_seed(0)
    samples = 4000
    labels = torch.randint(2, (samples,), generator=generator)
    environments = torch.arange(samples) % 2
    chance = torch.rand(samples, 2, generator=generator)
    kept = torch.stack([chance[:, 0] < 0.75, chance[:, 1] < torch.where(environments == 0, 0.9, 0.7)], 1)
    inputs = torch.where(kept, labels[:, None], 1 - labels[:, None]).float() * 2 - 1
    schema = Schema("tables", (2,), ("no", "yes"), ("first", "second"))
    leaning = []
    for weight in (0.0, 1e4):
        torch.manual_seed(1)
        method = IRM(build_encoder("mlp", schema, width=4, depth=1), schema, IRMOptions(penalty_weight=weight))
        optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
        for epoch in range(300):
            method.penalty_weight.fill_(method._weight_in(epoch // 100))
            loss = method(Batch(inputs, torch.arange(samples), labels, environments)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # How much the second column moves the logits, compared with the first.
        points = torch.tensor([[1.0, 1], [-1, 1], [1, -1], [-1, -1]])
        method.eval()
        logits = method.linear_classifier()(method.encoder(points)).detach()
        score = logits[:, 1] - logits[:, 0]
        first, second = (score[0] + score[2] - score[1] - score[3], score[0] + score[1] - score[2] - score[3])
        leaning.append(float(second / first))
    assert leaning[0] > 1
    assert abs(leaning[1]) < 0.5 * leaning[0]
