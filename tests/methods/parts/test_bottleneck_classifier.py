from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from methods.toy import IMAGES, convnet, grouped_batch, image_batch
from unconfound.functional.bottleneck import gaussian_kl
from unconfound.methods import Supervised
from unconfound.methods.parts.bottleneck_classifier import (
    BottleneckOptions,
    LinearHead,
    VariationalHead,
    classifier_head,
)
from unconfound.methods.supervised import SupervisedOptions


def _head(**options):
    torch.manual_seed(0)
    return classifier_head(7, 3, BottleneckOptions(vib=True, bottleneck_features=4, **options)).double()


def _rows(batch=6):
    return torch.randn(batch, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_code_is_drawn_around_its_mean_and_its_divergence_is_weighted():
    head, rows = _head(kl_weight=0.3), _rows()
    torch.manual_seed(2)
    logits, information = head(rows)
    torch.manual_seed(2)
    noise = torch.randn(6, 4).double()
    moments = rows @ head.moments.weight.T + head.moments.bias
    mean, deviation = moments[:, :4], (1 + (moments[:, 4:] - 5).exp()).log()
    code = mean + deviation * noise
    torch.testing.assert_close(logits, code @ head.classifier.weight.T + head.classifier.bias)
    torch.testing.assert_close(information, 0.3 * gaussian_kl(mean, deviation).mean())


def test_views_draw_one_after_the_other():
    head, rows = _head(), _rows(6)
    torch.manual_seed(2)
    both, _ = head(rows, views=2)
    torch.manual_seed(2)
    first, second = head(rows[:3])[0], head(rows[3:])[0]
    torch.testing.assert_close(both, torch.cat([first, second]))


def test_without_noise_it_is_one_linear_map():
    head, rows = _head().eval(), _rows()
    linear = head.as_linear()
    torch.testing.assert_close(linear(rows), head(rows)[0])
    assert isinstance(linear, torch.nn.Linear)
    plain = classifier_head(7, 3, BottleneckOptions()).double()
    assert isinstance(plain, LinearHead)
    logits, information = plain(rows)
    assert information.item() == 0
    torch.testing.assert_close(plain.as_linear()(rows), logits)
    single = copy.deepcopy(head).float()
    assert single.as_linear().weight.dtype == torch.float32


def test_without_weight_and_noise_the_loss_is_that_of_the_plain_classifier():
    torch.manual_seed(0)
    method = Supervised(convnet(), IMAGES, SupervisedOptions(vib=True, kl_weight=0.0)).eval()
    batch = image_batch(9)
    step = method(batch)
    embeddings = method.encoder(batch.inputs)
    logits = method.linear_classifier()(embeddings)
    torch.testing.assert_close(step.loss, F.cross_entropy(logits, batch.labels))
    assert step.scalars["information"].item() == 0


def test_a_bottleneck_that_costs_much_forgets_the_input():
    torch.manual_seed(0)
    batch, divergences = grouped_batch(24), []
    for kl_weight in (1e-3, 30.0):
        method = Supervised(convnet(), IMAGES, SupervisedOptions(vib=True, kl_weight=kl_weight, bottleneck_features=8))
        optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
        for _ in range(60):
            step = method(batch)
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
        divergences.append(step.scalars["information"].item() / kl_weight)
    assert divergences[1] < 0.1 < divergences[0]


def test_the_noise_starts_small():
    head = VariationalHead(7, 3, bottleneck_features=64, kl_weight=1.0)
    deviation = F.softplus(head.moments(_rows(50).float())[:, 64:] - 5)
    assert deviation.mean().item() == pytest.approx(0.0067, rel=0.5)
