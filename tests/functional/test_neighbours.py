from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from unconfound.functional.neighbours import nearest


def draw(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("neighbours", [1, 3, 60])
@pytest.mark.parametrize("tile", [7, 1024])
def test_nearest_agrees_with_scikit_learn(metric, neighbours, exclude_self, tile):
    gallery = draw(4, 90, 5) + 3
    queries = gallery if exclude_self else draw(5, 20, 5) + 3
    values, indices = nearest(
        queries, gallery, neighbours=neighbours, metric=metric, exclude_self=exclude_self, tile=tile
    )
    search = NearestNeighbors(n_neighbors=neighbours, metric=metric, algorithm="brute").fit(gallery.numpy())
    distances, expected = search.kneighbors(None if exclude_self else queries.numpy())
    assert indices.tolist() == expected.tolist()
    ours = 1 - values if metric == "cosine" else values
    torch.testing.assert_close(ours, torch.from_numpy(distances), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    points=st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=2, max_size=60),
    neighbours=st.integers(1, 60),
    tile=st.sampled_from([1, 5, 1024]),
)
def test_equally_near_rows_come_in_the_order_of_their_indices(points, neighbours, tile):
    gallery = torch.tensor(points, dtype=torch.float64)
    gallery = torch.cat([gallery, -gallery])  # centred, so that distances are exact
    neighbours = min(neighbours, len(gallery))
    values, indices = nearest(gallery, gallery, neighbours=neighbours, metric="euclidean", tile=tile)
    for query, row in enumerate(gallery.tolist()):
        squares = [sum((a - b) ** 2 for a, b in zip(row, other, strict=True)) for other in gallery.tolist()]
        expected = sorted(range(len(squares)), key=lambda other: (squares[other], other))[:neighbours]
        assert indices[query].tolist() == expected
        assert values[query].tolist() == pytest.approx([math.sqrt(squares[other]) for other in expected])


@pytest.mark.parametrize("rows", [1000, 1009])
@pytest.mark.parametrize("neighbours", [1, 4, 30])
def test_few_of_many_rows_half_of_them_tied(rows, neighbours):
    # Whole numbers, so that inner products are exact and many of them equal.
    points = torch.randint(-2, 3, (rows, 2), generator=torch.Generator().manual_seed(rows)).double()
    gallery = torch.cat([points, -points])
    _, indices = nearest(gallery[:50], gallery, neighbours=neighbours, metric="euclidean")
    distances = (gallery[:50, None] - gallery).square().sum(2)
    assert indices.equal(distances.sort(dim=1, stable=True).indices[:, :neighbours])


def test_a_query_is_not_its_own_neighbour_but_its_duplicate_is():
    rows = torch.tensor([[1.0, 2], [1, 2], [5, -1], [1, 2]])
    values, indices = nearest(rows, rows, neighbours=2, metric="euclidean", exclude_self=True)
    assert indices[[0, 1, 3]].tolist() == [[1, 3], [0, 3], [0, 1]]
    assert values[[0, 1, 3]].tolist() == [[0, 0]] * 3


def test_distances_of_duplicates_far_from_the_origin_are_zero():
    rows = draw(6, 40, 16, dtype=torch.float32) + 1000
    values, indices = nearest(rows, rows, neighbours=1, metric="euclidean")
    assert values.abs().max() == 0
    assert indices.squeeze(1).tolist() == list(range(40))


def test_nearest_mixes_precisions():
    values, _ = nearest(torch.eye(2).half(), torch.eye(2).double(), neighbours=1)
    assert values.dtype == torch.float64
    assert nearest(torch.eye(2).half(), torch.eye(2).half(), neighbours=1)[0].dtype == torch.float32


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_of_nearest():
    rows = torch.eye(3)
    with pytest.raises(ValueError, match=r"neighbours must be from 1 to 3, .* got 4"):
        nearest(rows, rows, neighbours=4)
    with pytest.raises(ValueError, match=r"neighbours must be from 1 to 2, .* got 3"):
        nearest(rows, rows, neighbours=3, exclude_self=True)
    with pytest.raises(ValueError, match=r"neighbours must be from 1 to 3, .* got 0"):
        nearest(rows, rows, neighbours=0)
    with pytest.raises(ValueError, match="same number of features, got 2 and 3"):
        nearest(rows[:, :2], rows, neighbours=1)
    with pytest.raises(ValueError, match="same rows, got 2 and 3"):
        nearest(rows[:2], rows, neighbours=1, exclude_self=True)
    with pytest.raises(ValueError, match="'cosine' or 'euclidean', got 'dot'"):
        nearest(rows, rows, neighbours=1, metric="dot")
    with pytest.raises(ValueError, match="gallery must be finite"):
        nearest(rows, rows / 0, neighbours=1)
    with pytest.raises(ValueError, match="tile must be at least 1 row, got -1"):
        nearest(rows, rows, neighbours=1, tile=-1)


@pytest.mark.parametrize("neighbours", [1.5, True, "2"])
def test_neighbours_are_a_whole_number(neighbours):
    with pytest.raises(TypeError, match="neighbours must be a whole number, got"):
        inspect.unwrap(nearest)(torch.ones(2, 2), torch.ones(2, 2), neighbours=neighbours)
