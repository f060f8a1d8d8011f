"""What is nearest, against every distance in float64, where float32 alone would get it wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.nearness import Nearness
from unconfound.functional.neighbours import nearest
from unconfound.functional.retrieval_metrics import retrieval_per_query


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clusters(distance):
    """Forty clusters far from each other, so that |q|^2 - 2 q.g + |g|^2 has lost what is within them."""
    centres = distance * draw(0, 40, 16)
    return centres.repeat(6, 1) + draw(1, 240, 16)


def lengths_apart():
    """Rows of all lengths, from 1e-6 to 1e6, as sums over graphs of all sizes have."""
    return draw(2, 240, 16) * 10 ** torch.linspace(-6, 6, 240, dtype=torch.float64)[:, None]


KINDS = {
    "clusters": lambda: clusters(20_000.0),
    "clusters, far": lambda: clusters(1e6),
    "cone": lambda: draw(3, 240, 16) * 0.2 + 1000,
    "lengths": lengths_apart,
    "one huge row": lambda: torch.cat([draw(4, 239, 16), torch.full((1, 16), 1e12, dtype=torch.float64)]),
    "duplicates": lambda: clusters(1e4)[torch.randint(0, 40, (240,), generator=torch.Generator().manual_seed(5))],
    "all the same": lambda: torch.full((240, 16), 0.1, dtype=torch.float64),
    "zeros": lambda: draw(6, 240, 16) * (torch.arange(240) % 3 > 0)[:, None],
    "all zeros": lambda: torch.zeros(240, 16, dtype=torch.float64),
    "huge": lambda: draw(7, 240, 16) * 1e36,
    "tiny": lambda: draw(8, 240, 16) * 1e-36,
    "whole numbers": lambda: torch.randint(-2, 3, (240, 16), generator=torch.Generator().manual_seed(9)).double(),
}


def distances(queries, gallery, metric):
    """All of them in float64, from differences; cosines as distances of rows of length 1."""
    queries, gallery = (rows.double().numpy() for rows in (queries, gallery))
    if metric == "cosine":
        blank = (~queries.any(1))[:, None] | ~gallery.any(1)
        queries, gallery = (
            scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1)
            for scaled in (rows / np.maximum(np.abs(rows).max(1, keepdims=True), 1e-300) for rows in (queries, gallery))
        )
    squares = np.stack([np.square(row - gallery).sum(1) for row in queries])
    if metric == "cosine":
        squares[blank] = 2
    return squares


def check_nearest(queries, gallery, found, metric, *, own=False):
    """No row that was left out is nearer, and of equally near ones the lower index comes first."""
    squares = distances(queries, gallery, metric)
    if own:
        np.fill_diagonal(squares, np.inf)
    expected = np.sort(squares, axis=1)[:, : found.shape[1]]
    ours = np.take_along_axis(squares, found.numpy(), axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-13 if metric == "euclidean" else 1e-6, atol=1e-24)
    # What is equally near to the last bit, whatever the oracle adds up in another order.
    ranked = gallery[found]
    equal = (ranked[:, 1:] == ranked[:, :-1]).all(2).numpy()
    if metric == "euclidean":
        equal |= np.diff(ours) == 0
    else:
        equal |= ~queries.any(1).numpy()[:, None]
    assert (found.diff(dim=1).numpy() > 0)[equal].all()
    # Duplicates of the last one that were left out come behind it.
    for row, columns in enumerate(found.tolist()):
        same = (gallery == gallery[columns[-1]]).all(1).nonzero().flatten().tolist()
        missed = set(same) - set(columns) - ({row} if own else set())
        assert not missed or min(missed) > columns[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_are_those_of_all_distances_in_float64(kind, metric, dtype):
    rows = KINDS[kind]().to(dtype)
    rows = rows[rows.isfinite().all(1)]
    if len(rows) == 0:
        pytest.skip("nothing of it is a number in this type")
    for neighbours in (5, 70):
        wanted = min(neighbours, len(rows) - 1)
        values, found = nearest(rows, rows, neighbours=wanted, metric=metric, exclude_self=True)
        check_nearest(rows, rows, found, metric, own=True)
        steps = values.diff(dim=1)
        assert ((steps >= 0) if metric == "euclidean" else (steps <= 0)).logical_or(steps.isnan()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_queries_from_elsewhere(kind):
    gallery = KINDS[kind]().float()
    queries = torch.cat([gallery[::20] * 1.001, gallery[::20] * 3 + gallery.abs().double().mean().float() / 7])
    for metric in ("euclidean", "cosine"):
        _, found = nearest(queries, gallery, neighbours=6, metric=metric, tile=7)
        check_nearest(queries, gallery, found, metric)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), features=st.integers(1, 3), neighbours=st.integers(1, 8))
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_any_numbers(metric, data, features, neighbours):
    numbers = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from(
        [0.0, 1.0, 1 + 2**-23, 20_000.0, 20_000.0078125]
    )
    row = st.lists(numbers, min_size=features, max_size=features)
    gallery = torch.tensor(data.draw(st.lists(row, min_size=neighbours, max_size=40)))
    queries = torch.cat([gallery, torch.tensor([data.draw(row)])])
    _, found = nearest(queries, gallery, neighbours=neighbours, metric=metric)
    check_nearest(queries, gallery, found, metric)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_score_is_further_off_than_is_said(kind, dtype):
    rows = KINDS[kind]().float()
    near = Nearness(rows, rows)
    look = near._look(dtype)
    asked = torch.arange(0, 240, 7)
    scores, scale = look.scores(asked).double().numpy(), near._look_scale
    exact = distances(rows[asked], rows, "euclidean") * scale**2
    should = (look.lengths[asked].square().numpy()[:, None] - exact) / 2
    least = torch.full((len(asked),), -torch.inf, dtype=torch.float64)
    off = look.off(asked, least).numpy()[:, None]
    # What comes of |d|^2 being rounded in this oracle.
    oracle = 1e-15 * look.lengths[asked].square().numpy()[:, None]
    assert (np.abs(scores - should) <= off + oracle).all()


def test_ordinary_rows_are_not_looked_at_twice(monkeypatch):
    """Rounding leaves little in doubt where embeddings are as embeddings are: nothing is multiplied in float64."""
    used = []
    look = Nearness._look
    monkeypatch.setattr(Nearness, "_look", lambda self, dtype: used.append(dtype) or look(self, dtype))
    rows = draw(10, 1500, 64).relu().float()
    rows[3] *= 1e6  # a single huge row does not matter
    nearest(rows[4:], rows, neighbours=5, metric="euclidean")
    nearest(rows, rows, neighbours=5, metric="cosine")
    assert used == [torch.float32] * 2


def test_retrieval_of_a_narrow_cone_is_that_of_float64():
    rows, labels = KINDS["cone"]().float(), torch.arange(240) % 4
    ours, exact = (retrieval_per_query(each, labels) for each in (rows, rows.double()))
    for mine, right in zip(ours, exact, strict=True):
        assert mine.equal(right)
    squares = distances(rows, rows, "cosine")
    np.fill_diagonal(squares, np.inf)
    first = torch.from_numpy(squares.argmin(1))
    assert ours.precision_at_1.equal((labels[first] == labels).double())


@pytest.mark.parametrize("several", [2, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_where_only_classes_matter_they_come_in_the_same_order(kind, several):
    rows = KINDS[kind]().float()
    classes = torch.randint(0, several, (240,), generator=torch.Generator().manual_seed(6))
    nearness, every = Nearness.of_directions(rows, rows), torch.arange(240)
    exact, alike = (nearness.nearest(every, 50, left_out=every, classes=given) for given in (None, (classes, classes)))
    assert (classes[exact] == classes[:, None]).equal(classes[alike] == classes[:, None])


def test_less_precise_products_of_the_surroundings_do_not_matter(monkeypatch):
    rows = clusters(10.0).float()
    expected = nearest(rows, rows, neighbours=5, metric="euclidean")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nearest(rows, rows, neighbours=5, metric="euclidean")
    assert all(map(torch.equal, found, expected))
    used = []
    look = Nearness._look
    monkeypatch.setattr(Nearness, "_look", lambda self, dtype: used.append(dtype) or look(self, dtype))
    torch.set_float32_matmul_precision("medium")
    try:
        found = nearest(rows, rows, neighbours=5, metric="euclidean")
    finally:
        torch.set_float32_matmul_precision("highest")
    assert used == [torch.float64]
    assert all(map(torch.equal, found, expected))
