from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from methods.toy import GROUPED, convnet, grouped_batch, grouped_source, spurious_source
from unconfound.data import Dataset
from unconfound.encoders import build_encoder
from unconfound.methods import GroupDRO, Supervised
from unconfound.methods.group_dro import GroupDROOptions
from unconfound.training import TrainingOptions, fit


def _method(**options):
    torch.manual_seed(0)
    return GroupDRO(convnet(GROUPED), GROUPED, GroupDROOptions(**options)).double()


@pytest.mark.parametrize("adjustment", [0.0, 1.5])
def test_two_steps_are_those_of_the_algorithm(adjustment):
    method, source = _method(step_size=0.4, adjustment=adjustment), grouped_source(40)
    method.before_epoch(0, source)
    counts = torch.bincount(source.groups, minlength=4).tolist()
    weights = [1 / 3, 1 / 3, 1 / 3, 0.0]
    for seed in range(2):
        batch = grouped_batch(9, seed=seed)
        batch = replace(batch, inputs=batch.inputs.double() / 255, groups=batch.groups.clamp_min(seed))
        step = method(batch)
        logits = method.linear_classifier()(method.encoder(batch.inputs))
        losses = []
        for group in range(4):
            own = batch.groups == group
            losses.append(F.cross_entropy(logits[own], batch.labels[own]).item() if own.any() else 0.0)
        # In the second batch nobody is of group 0.
        assert (losses[0] == 0) == (seed == 1)
        raised = [
            weight * math.exp(0.4 * (loss + (adjustment / math.sqrt(count) if count else 0)))
            for weight, loss, count in zip(weights, losses, counts, strict=True)
        ]
        weights = [each / sum(raised) for each in raised]
        assert method.weights.tolist() == pytest.approx(weights, rel=1e-6)
        expected = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
        assert step.loss.item() == pytest.approx(expected, rel=1e-6)
        assert step.scalars["highest_group_loss"].item() == pytest.approx(max(losses))
        assert step.scalars["weight_up"].item() == pytest.approx(weights[2], rel=1e-5)


def test_weights_rest_in_evaluation_mode_and_without_a_step():
    method = _method().eval()
    method(grouped_batch(6))
    assert method.weights.tolist() == [0.25] * 4
    method = _method(step_size=0.0)
    method.before_epoch(0, grouped_source())
    method(grouped_batch(6))
    assert method.weights.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_groups_are_drawn_equally_often_unless_told_otherwise():
    source = grouped_source(60)
    weights = _method().sampling_weights(source, "train")
    sums = torch.zeros(4, dtype=torch.float64).index_add(0, source.groups, weights)
    torch.testing.assert_close(sums, torch.tensor([1.0, 1, 1, 0]).double())
    assert _method(balanced=False).sampling_weights(source, "train") is None


def test_an_adjustment_needs_the_counts():
    with pytest.raises(ValueError, match="counts groups in before_epoch: call it before training"):
        _method(adjustment=1.0)(grouped_batch(6))


def test_weights_and_counts_are_saved():
    method = _method(step_size=1.0)
    method.before_epoch(0, grouped_source())
    method(grouped_batch(9))
    fresh = _method()
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.weights, method.weights)
    assert torch.equal(fresh.samples, method.samples)
    # A later epoch starts from the weights of the last.
    fresh.before_epoch(1, grouped_source())
    assert torch.equal(fresh.weights, method.weights)


TRAINING = TrainingOptions(epochs=12, batch_size=50, learning_rate=0.01, weight_decay=0.1, device="cpu", precision="32")


def _fit(kind, options, source, out):
    torch.manual_seed(0)
    method = kind(build_encoder("mlp", source.schema, width=8, depth=1), source.schema, options)
    return method, fit(method, Dataset(source, {}, labelled=source), out=out, training=TRAINING)


def test_the_worst_group_gains(tmp_path):
    source, test, worst = spurious_source(600), spurious_source(2000, minority=0.5, seed=1), []
    for kind in (Supervised, GroupDRO):
        _, run = _fit(kind, None, source, tmp_path / kind.__name__)
        right = run.classifier(run.encoder(test.inputs)).argmax(1) == test.labels
        worst.append(min(right[test.groups == group].float().mean().item() for group in range(4)))
    assert worst[1] > worst[0] + 0.1


@pytest.mark.parametrize("balanced", [True, False])
def test_a_hard_group_gains_weight(balanced, tmp_path):
    source = spurious_source(600, minority=0.5)
    # A third of the third group's labels are wrong, which nobody can learn.
    wrong = (source.groups == 2) & (torch.arange(600) % 3 == 0)
    source = replace(source, labels=torch.where(wrong, 1 - source.labels, source.labels))
    method, _ = _fit(GroupDRO, GroupDROOptions(step_size=0.05, balanced=balanced), source, tmp_path / "run")
    assert method.weights[2] == method.weights.max()
    assert method.weights[2] > 0.4
