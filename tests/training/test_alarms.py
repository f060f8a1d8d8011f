from __future__ import annotations

import math

import pytest
import torch

from unconfound.training import TrainingOptions
from unconfound.training.alarms import collapse_alarm, embedding_health, not_finite_message


def _normal(samples, features, *, seed=0):
    return torch.randn(samples, features, generator=torch.Generator().manual_seed(seed))


def test_isotropic_embeddings_are_healthy():
    health = embedding_health(_normal(4000, 16))
    assert health["embedding_deviation"] == pytest.approx(1, abs=0.02)
    assert health["effective_rank"] == pytest.approx(16, rel=0.01)
    assert collapse_alarm(health, step=1) is None


def test_the_rank_is_the_exponential_of_an_entropy():
    # Centred columns with the singular values 3 and 1.
    embeddings = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert embedding_health(embeddings)["effective_rank"] == pytest.approx(math.exp(entropy))


def test_measures_do_not_depend_on_scale_and_order():
    embeddings = _normal(50, 8)
    health = embedding_health(embeddings)
    assert embedding_health(embeddings.flip(0) * 1000) == pytest.approx(health, rel=1e-5)


def test_at_most_as_many_ranks_as_samples_or_features():
    assert embedding_health(_normal(5, 64))["effective_rank"] <= 4 + 1e-6
    assert embedding_health(_normal(64, 3))["effective_rank"] <= 3 + 1e-6


@pytest.mark.parametrize("embeddings", [torch.zeros(6, 4), torch.full((6, 4), 3.5), torch.ones(1, 4)])
def test_constant_embeddings_have_neither_spread_nor_rank(embeddings):
    health = embedding_health(embeddings)
    assert health["effective_rank"] == 0
    assert health["embedding_deviation"] == pytest.approx(0, abs=1e-6)


def test_collapse_to_one_direction_is_told():
    alarm = collapse_alarm(embedding_health(torch.ones(1, 32) + 1e-3 * _normal(100, 32)), step=1234)
    assert alarm is not None
    assert "collapse at step 1,234: all embeddings point the same way" in alarm
    assert "Try a lower learning rate, a larger batch" in alarm


def test_collapse_to_one_line_is_told():
    alarm = collapse_alarm(embedding_health(_normal(100, 1) * torch.ones(1, 32) + 1e-4 * _normal(100, 32)), step=7)
    assert alarm is not None
    assert "the embeddings lie on one line" in alarm


@pytest.mark.parametrize("embeddings", [_normal(64, 8).relu(), _normal(64, 2), _normal(16, 512) + 2])
def test_healthy_embeddings_raise_no_alarm(embeddings):
    assert collapse_alarm(embedding_health(embeddings), step=1) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_told(value):
    embeddings = _normal(8, 4)
    embeddings[3, 2] = value
    health = embedding_health(embeddings)
    assert all(map(math.isnan, health.values()))
    assert "the embeddings hold NaN or infinity" in str(collapse_alarm(health, step=1))


def test_the_message_names_step_epoch_and_what_to_try():
    message = not_finite_message(1200, 2, options=TrainingOptions(learning_rate=0.5), precision="32")
    assert "at step 1,200 (epoch 3)" in message
    assert "a lower --learning-rate (now 0.5)" in message
    mixed = not_finite_message(1, 0, options=TrainingOptions(), precision="bf16")
    assert "try --precision 32, then a lower --learning-rate (now 0.001)" in mixed
