import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.report.plane import project


def clouds(samples=200, features=16, classes=4):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % classes
    centres = 10 * torch.eye(classes, features)
    return centres[labels] + torch.randn(samples, features, generator=generator), labels


def test_neighbours_stay_neighbours():
    features, labels = clouds()
    projection = project(features)
    assert projection.method.startswith("t-SNE")
    distances = np.linalg.norm(projection.points[:, None] - projection.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    kept = labels[projection.rows].numpy()
    assert (kept[distances.argmin(1)] == kept).mean() > 0.99


def test_few_samples_are_laid_out_by_principal_components():
    features, _ = clouds(samples=20)
    projection = project(features)
    assert "principal components" in projection.method
    centred = features.double().numpy() - features.double().numpy().mean(0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * singular[:2]
    distances = lambda points: np.linalg.norm(points[:, None] - points[None], axis=2)  # noqa: E731
    ratio = distances(projection.points).max() / distances(expected).max()
    np.testing.assert_allclose(distances(projection.points), ratio * distances(expected), atol=1e-9)


def test_evenly_spaced_rows_are_kept_and_the_seed_decides():
    features, _ = clouds(samples=250)
    first, again = project(features, limit=100), project(features, limit=100)
    assert len(first.rows) == 100
    assert first.rows[0] == 0
    assert first.rows[-1] == 249
    assert int(first.rows.diff().max()) <= 3
    np.testing.assert_array_equal(first.points, again.points)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 5), st.sampled_from([0.0, 1e-30, 1.0, 1e30]), st.integers(0, 100))
def test_points_are_finite_and_span_the_width(samples, width, scale, seed):
    features = scale * torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))
    points = project(features).points
    assert points.shape == (samples, 2)
    assert np.isfinite(points).all()
    assert points.min() >= 0
    assert points[:, 1].max() <= points[:, 0].max() <= 1
    assert points[:, 0].max() == pytest.approx(1.0 if scale else 0.0)


def test_one_sample_is_no_map():
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        project(torch.zeros(1, 4))
