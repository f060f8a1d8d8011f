from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.saliency import contra_cam, contrastive_scores, most_salient, xgrad_cam


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3))
def test_a_map_is_the_weighted_sum_of_the_features(seed, batch, features):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(batch, features, 2, 3, generator=generator, dtype=torch.float64)
    gradients = torch.randn(batch, features, 2, 3, generator=generator, dtype=torch.float64)
    maps[0, 0] = 0
    found = xgrad_cam(maps, gradients)
    for image in range(batch):
        weights = []
        for feature in range(features):
            total = maps[image, feature].sum().item()
            product = sum(
                maps[image, feature, i, j].item() * gradients[image, feature, i, j].item()
                for i in range(2)
                for j in range(3)
            )
            weights.append(product / total if total else 0.0)
        for i in range(2):
            for j in range(3):
                value = sum(weight * maps[image, k, i, j].item() for k, weight in enumerate(weights))
                assert found[image, i, j].item() == pytest.approx(max(value, 0), abs=1e-12)


def _cosine(first, second):
    product = sum(a * b for a, b in zip(first, second, strict=True))
    return product / math.sqrt(sum(a * a for a in first) * sum(b * b for b in second))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 2), st.floats(0.2, 2))
def test_scores_tell_an_image_from_others(seed, batch, iterations, temperature):
    generator = torch.Generator().manual_seed(seed)
    shown, keys = torch.randn(2, batch, 3, generator=generator, dtype=torch.float64)
    others = torch.randn(batch * iterations, 3, generator=generator, dtype=torch.float64)
    own = torch.eye(batch, dtype=torch.bool).repeat(1, iterations)
    found = contrastive_scores(shown, keys, others, own=own, temperature=temperature)
    for image in range(batch):
        alike = math.exp(_cosine(shown[image].tolist(), keys[image].tolist()) / temperature)
        apart = sum(
            math.exp(_cosine(shown[image].tolist(), others[other].tolist()) / temperature)
            for other in range(len(others))
            if other % batch != image
        )
        assert found[image].item() == pytest.approx(math.log(alike / apart), rel=1e-9, abs=1e-12)


def test_a_contrastive_map_is_the_sum_of_the_features_that_raise_the_score():
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    gradients = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    # At the size of the map, the resampling changes nothing.
    found = contra_cam(maps, gradients, (4, 5))
    for image in range(2):
        weights = [max(0.0, gradients[image, feature].mean().item()) for feature in range(3)]
        values = torch.stack([weight * maps[image, feature] for feature, weight in enumerate(weights)]).sum(0)
        values = values - values.min()
        torch.testing.assert_close(found[image, 0], values / values.max() if values.max() > 0 else values)
    fine = contra_cam(maps, gradients, (16, 20))
    assert fine.shape == (2, 1, 16, 20)
    assert 0 <= fine.min() <= fine.max() <= 1
    assert not contra_cam(maps, -gradients.abs(), (8, 8)).any()


def _naive(saliency, deviations):
    fine = [value - min(saliency) for value in saliency]
    above = [value for value in fine if value > 0]
    if not above:
        return [False] * len(fine)
    threshold = statistics.fmean(above) + deviations * statistics.pstdev(above)
    return [value > threshold for value in fine]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0, 2))
def test_pixels_far_above_the_mean_are_found(seed, deviations):
    generator = torch.Generator().manual_seed(seed)
    saliency = torch.rand(2, 4, 5, generator=generator, dtype=torch.float64).square()
    found = most_salient(saliency, (4, 5), deviations=deviations)
    assert found.shape == (2, 1, 4, 5)
    for image in range(2):
        assert found[image].flatten().tolist() == _naive(saliency[image].flatten().tolist(), deviations)
    assert torch.equal(most_salient(7 * saliency + 3, (4, 5), deviations=deviations), found)


def test_a_peak_is_brought_to_the_size_of_the_image():
    saliency = torch.zeros(1, 8, 8)
    saliency[0, 2, 5] = 1.0
    saliency[0, 6, 1] = 0.1
    found = most_salient(saliency, (32, 32), deviations=2.0)
    rows, columns = found[0, 0].nonzero().unbind(1)
    assert len(rows) > 0
    assert 8 <= rows.min() <= rows.max() < 12
    assert 20 <= columns.min() <= columns.max() < 24
    assert most_salient(saliency.half(), (32, 32)).dtype == torch.bool


def test_where_nothing_stands_out_nothing_is_found():
    assert not most_salient(torch.zeros(2, 3, 3), (6, 6)).any()
    assert not most_salient(torch.full((2, 3, 3), 0.7), (6, 6), deviations=0.0).any()
    assert most_salient(torch.zeros(0, 3, 3), (6, 6)).shape == (0, 1, 6, 6)
    assert not most_salient(torch.full((1, 2, 2), torch.nan), (4, 4)).any()


def test_bad_input_is_refused(unchecked_shapes):
    with pytest.raises(ValueError, match=r"maps and gradients must both be .*\(1, 2, 3, 3\) and \(1, 2, 3, 4\)"):
        xgrad_cam(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match=r"maps and gradients must both be"):
        contra_cam(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3), (4, 4))
    rows, own = torch.ones(2, 3), torch.eye(2, dtype=torch.bool)
    with pytest.raises(
        ValueError, match=r"own must be \[1, 1\] with another image for each, .*use at least two images"
    ):
        contrastive_scores(rows[:1], rows[:1], rows[:1], own=own[:1, :1])
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got 0"):
        contrastive_scores(rows, rows, rows, own=own, temperature=0)
    with pytest.raises(TypeError, match="saliency must be floating-point"):
        most_salient(torch.zeros(1, 2, 2, dtype=torch.long), (4, 4))
    with pytest.raises(ValueError, match="deviations must be a finite number of at least 0, got -1"):
        most_salient(torch.zeros(1, 2, 2), (4, 4), deviations=-1)
