from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from unconfound.functional.erasure import leace, nuisance_attribute_projection, within_pair_whitening

SIZES = {"seed": st.integers(0, 10**6), "features": st.integers(2, 6), "versions": st.integers(2, 4)}


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def versions_of(seed, samples, versions, features):
    """Samples, moved by their versions along other directions than those in which they differ."""
    what = draw(seed, samples, 1, features) @ draw(seed + 1, features, features)
    moved = draw(seed + 2, samples, versions, features) @ draw(seed + 3, features, features)
    return what + 0.7 * moved + 5


def naive_within(versions):
    features = versions.shape[2]
    scatter = torch.zeros(features, features, dtype=torch.float64)
    for sample in versions:
        mean = sample.mean(0)
        for version in sample:
            scatter += torch.outer(version - mean, version - mean)
    return scatter / (len(versions) * versions.shape[1])


def labelled_rows(seed, *, rows=90, features=5, classes=3):
    labels = torch.arange(rows) % classes
    means = 2 * draw(seed, classes, features)
    return means[labels] + draw(seed + 1, rows, features) @ draw(seed + 2, features, features) + 3, labels


@settings(deadline=None, max_examples=25)
@given(**SIZES)
def test_nap_removes_the_largest_directions_of_the_scatter_within_samples(seed, features, versions):
    rows, directions = versions_of(seed, 12, versions, features), 1 + seed % (features - 1)
    change = nuisance_attribute_projection(rows, directions=directions)
    values, vectors = np.linalg.eigh(naive_within(rows).numpy())
    naive = np.eye(features)
    for place in values.argsort()[::-1][:directions]:
        naive -= np.outer(vectors[:, place], vectors[:, place])
    torch.testing.assert_close(change.matrix, torch.from_numpy(naive), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(change.matrix @ change.matrix, change.matrix)
    assert not change.bias.any()
    # What is left within samples is what the other directions had.
    left = naive_within(change.of(rows)).trace().item()
    assert left == pytest.approx(values[: features - directions].sum(), rel=1e-6, abs=1e-9)


def test_nap_does_not_mind_a_shift_of_samples_and_their_order():
    rows = versions_of(3, 20, 3, 5)
    change = nuisance_attribute_projection(rows, directions=2)
    shifted = nuisance_attribute_projection((rows + draw(4, 20, 1, 5)).flip(0), directions=2)
    torch.testing.assert_close(shifted.matrix, change.matrix)


@settings(deadline=None, max_examples=25)
@given(**SIZES)
def test_whitened_directions_are_those_that_versions_move_least(seed, features, versions):
    rows, kept = versions_of(seed, 30, versions, features), 1 + seed % features
    change = within_pair_whitening(rows, directions=kept)
    flat = rows.flatten(0, 1)
    total = (flat - flat.mean(0)).T @ (flat - flat.mean(0)) / len(flat)
    # The smallest generalised eigenvalues, from the matrix that is not symmetric.
    shares = np.sort(np.linalg.eigvals(np.linalg.solve(total.numpy(), naive_within(rows).numpy())).real)
    mapped = change.of(rows)
    assert mapped.shape == (30, versions, kept)
    torch.testing.assert_close(mapped.flatten(0, 1).mean(0), torch.zeros(kept).double(), atol=1e-8, rtol=0)
    torch.testing.assert_close(mapped.flatten(0, 1).T.cov(correction=0).reshape(kept, kept), torch.eye(kept).double())
    torch.testing.assert_close(
        naive_within(mapped), torch.diag(torch.from_numpy(shares[:kept].copy())), rtol=1e-6, atol=1e-7
    )


def test_whitening_does_not_mind_an_invertible_map():
    rows = versions_of(5, 40, 2, 4)
    mapped = within_pair_whitening(rows, directions=3).of(rows).flatten(0, 1)
    moved = rows @ draw(6, 4, 4).T - 2
    again = within_pair_whitening(moved, directions=3).of(moved).flatten(0, 1)
    torch.testing.assert_close(again @ again.T, mapped @ mapped.T)


def test_whitening_leaves_directions_without_variance_out():
    rows = torch.cat([versions_of(7, 30, 2, 3), torch.ones(30, 2, 2).double()], 2)
    assert within_pair_whitening(rows, directions=5).matrix.shape == (3, 5)


def test_a_direction_that_no_version_moves_comes_first():
    rows = versions_of(8, 50, 2, 4)
    rows[:, :, 0] = draw(9, 50, 1)
    mapped = within_pair_whitening(rows, directions=1).of(rows)
    torch.testing.assert_close(mapped[:, 0], mapped[:, 1])


def naive_leace(rows, labels):
    """The equation of the paper, with pseudo-inverses and matrix roots by eigenvalues."""
    rows, onehot = rows.numpy(), np.eye(int(labels.max()) + 1)[labels.numpy()]
    centred, told = rows - rows.mean(0), onehot - onehot.mean(0)
    covariance, cross = centred.T @ centred / len(rows), centred.T @ told / len(rows)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors @ np.diag(np.sqrt(np.clip(values, 0, None))) @ vectors.T
    whitening = np.linalg.pinv(root, rcond=1e-7)
    seen = whitening @ cross
    projection = seen @ np.linalg.pinv(seen, rcond=1e-7)
    matrix = np.eye(rows.shape[1]) - np.linalg.pinv(whitening, rcond=1e-7) @ projection @ whitening
    return torch.from_numpy(matrix), torch.from_numpy(rows.mean(0) - matrix @ rows.mean(0))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), features=st.integers(1, 6), classes=st.integers(1, 4))
def test_leace_is_the_map_of_the_paper(seed, features, classes):
    rows, labels = labelled_rows(seed, features=features, classes=classes)
    change = leace(rows, labels)
    matrix, bias = naive_leace(rows, labels)
    torch.testing.assert_close(change.matrix, matrix, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(change.bias, bias, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(change.of(rows).mean(0), rows.mean(0))


def test_no_linear_classifier_tells_erased_classes_apart():
    rows, labels = labelled_rows(0, rows=91)
    before = LogisticRegression().fit(rows, labels)
    assert before.score(rows, labels) > 0.8
    erased = leace(rows, labels).of(rows)
    for label in range(3):
        torch.testing.assert_close(erased[labels == label].mean(0), rows.mean(0))
    # The best that knows nothing of the rows gives every class its share.
    after = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000).fit(erased, labels)
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(after.predict_proba(erased), np.tile(shares, (len(rows), 1)), atol=1e-5)


def test_leace_moves_rows_less_than_a_projection_along_the_means():
    rows, labels = labelled_rows(1)
    means = torch.stack([rows[labels == label].mean(0) for label in range(3)])
    _, _, along = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    projected = rows - (rows - rows.mean(0)) @ along[:2].T @ along[:2]
    assert (leace(rows, labels).of(rows) - rows).square().sum() < (projected - rows).square().sum()


def test_leace_leaves_rows_alone_that_tell_nothing():
    rows, labels = labelled_rows(2)
    erased = leace(rows, labels).of(rows)
    again = leace(erased, labels)
    torch.testing.assert_close(again.matrix, torch.eye(5).double())
    torch.testing.assert_close(leace(rows, torch.zeros(90).long()).of(rows), rows)


def test_rows_that_do_not_span_all_features_are_erased_too():
    rows, labels = labelled_rows(3)
    wide = torch.cat([rows, rows[:, :2], torch.full((90, 1), 7.0).double()], 1)
    erased = leace(wide, labels).of(wide)
    torch.testing.assert_close(erased[:, :5], leace(rows, labels).of(rows))
    torch.testing.assert_close(erased[:, 5:7], erased[:, :2])
    torch.testing.assert_close(erased[:, 7], wide[:, 7])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_found_in_float64_and_keep_the_type_of_what_they_map(dtype):
    rows, labels = labelled_rows(4)
    change = leace(rows.to(dtype), labels)
    assert change.matrix.dtype == torch.float64
    torch.testing.assert_close(change.matrix, leace(rows.to(dtype).double(), labels).matrix)
    assert change.of(rows.to(dtype)).dtype == dtype


GOOD = versions_of(0, 6, 2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nuisance_attribute_projection(GOOD, directions=3), "directions must be below the 3 features"),
        (lambda: nuisance_attribute_projection(GOOD, directions=0), "from 1 to the 3 features, got 0"),
        (lambda: within_pair_whitening(GOOD, directions=4), "from 1 to the 3 features, got 4"),
        (lambda: within_pair_whitening(GOOD[:, :1], directions=1), "at least two versions"),
        (lambda: within_pair_whitening(torch.ones(4, 2, 3), directions=1), "all embeddings are equal"),
        (lambda: within_pair_whitening(GOOD * torch.nan, directions=1), "hold NaN or infinity"),
        (lambda: leace(GOOD[0, :1], torch.zeros(1).long()), "two or more rows, got 1"),
        (lambda: leace(GOOD[:, 0], torch.zeros(5).long()), "one a row"),
        (lambda: leace(GOOD[:, 0] * torch.inf, torch.zeros(6).long()), "hold NaN or infinity"),
        (lambda: leace(torch.ones(4, 3), torch.arange(4)), "all embeddings are equal"),
    ],
)
def test_a_mistake_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
