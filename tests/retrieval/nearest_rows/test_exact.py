"""The exhaustive search against a full sort in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unconfound.retrieval.nearest_rows import exact
from unconfound.retrieval.nearest_rows.backends import nearest_rows
from unconfound.retrieval.nearest_rows.best_rows import BestRows, similarity
from unconfound.retrieval.nearest_rows.exact import exact_search
from unconfound.retrieval.nearest_rows.faiss_search import faiss_search

KINDS = ("random", "cone", "tight", "same", "opposite", "duplicates")


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def draw(kind: str, rows: int, queries: int, features: int = 24) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    gallery, asked = rng.standard_normal((rows, features)), rng.standard_normal((queries, features))
    if kind in ("cone", "tight"):
        centre = rng.standard_normal(features) * (3 if kind == "cone" else 1000)
        gallery, asked = gallery + centre, asked + centre
    elif kind == "same":
        gallery[:], asked[:] = 1, 1
    elif kind == "opposite":
        # All similarities are below zero.
        gallery[:, 0], asked[:, 0] = 30, -30
    elif kind == "duplicates":
        gallery = gallery[rng.integers(0, 40, rows)]
    return unit(gallery), unit(asked)


def all_similarities(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of rows of length 1, from their distances; 0 where either is 0."""
    rows = gallery.astype(np.float64)
    similarities = np.stack([1 - np.square(row - rows).sum(axis=1) / 2 for row in queries.astype(np.float64)])
    similarities[~(queries.any(axis=1)[:, None] & gallery.any(axis=1))] = 0
    return similarities


def full_sort(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], neighbours: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    similarities = all_similarities(queries, gallery)
    positions = np.argsort(-similarities, axis=1, kind="stable")[:, :neighbours]
    return np.take_along_axis(similarities, positions, axis=1), positions


def check_same(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    found: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    """What was found has the similarities of a full sort; positions differ where two round differently, if at all."""
    expected, positions = full_sort(queries, gallery, found[0].shape[1])
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-15)
    for row, (ours, theirs) in enumerate(zip(found[1], positions, strict=True)):
        assert len(set(ours.tolist())) == len(ours)
        for rank in np.flatnonzero(ours != theirs):
            pair = [gallery[ours[rank]], gallery[theirs[rank]]]
            near = similarity(queries[[row, row]], np.stack(pair))
            assert abs(near[0] - near[1]) <= 1e-15


@pytest.fixture(params=[True, False], ids=["bfloat16", "float32"])
def first_look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(exact, "multiplies_bfloat16", lambda: request.param)
    return bool(request.param)


@pytest.mark.usefixtures("first_look")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", [1, 5, 257])
def test_agrees_with_a_full_sort(kind: str, queries: int) -> None:
    gallery, asked = draw(kind, 4500, queries)
    check_same(asked, gallery, exact_search(asked, [gallery[:7], gallery[7:4200], gallery[4200:]], neighbours=10))


@pytest.mark.usefixtures("first_look")
@pytest.mark.parametrize("neighbours", [1, 90, 4400, 4500])
def test_any_number_of_neighbours(neighbours: int) -> None:
    gallery, asked = draw("random", 4500, 70)
    check_same(asked, gallery, exact_search(asked, [gallery], neighbours=neighbours))


@pytest.mark.usefixtures("first_look")
def test_equally_similar_rows_come_in_their_order_wherever_they_are() -> None:
    gallery, asked = draw("random", 6000, 80)
    gallery[[5999, 17, 4000, 4097]] = asked[3]
    _, positions = exact_search(asked, np.array_split(gallery, 3), neighbours=5)
    assert positions[3, :4].tolist() == [17, 4000, 4097, 5999]


def test_the_answer_to_a_query_does_not_depend_on_the_others_nor_on_threads() -> None:
    gallery, asked = draw("cone", 9000, 100)
    together = exact_search(asked, [gallery], neighbours=7)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        in_two = exact_search(asked, [gallery[:5000], gallery[5000:]], neighbours=7)
    finally:
        torch.set_num_threads(threads)
    alone = exact_search(asked[40:41], [gallery], neighbours=7)
    for whole, split, single in zip(together, in_two, alone, strict=True):
        np.testing.assert_array_equal(whole, split)
        np.testing.assert_array_equal(whole[40:41], single)


def test_a_row_of_zeros_is_as_near_to_all() -> None:
    gallery, asked = draw("random", 30, 2)
    gallery[4], asked[1] = 0, 0
    similarities, positions = exact_search(asked, [gallery], neighbours=30)
    assert similarities[1].tolist() == [0] * 30
    assert positions[1].tolist() == list(range(30))
    assert similarities[0, positions[0].tolist().index(4)] == 0


def test_a_memory_mapped_shard_is_not_changed(tmp_path) -> None:
    gallery, asked = draw("random", 300, 3)
    np.save(tmp_path / "rows.npy", gallery)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="c")
    check_same(asked, gallery, exact_search(asked, [mapped], neighbours=4))
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), gallery)


@settings(deadline=None, max_examples=40)
@given(
    points=st.lists(st.tuples(*[st.integers(-1, 1)] * 3), min_size=1, max_size=50),
    cuts=st.lists(st.integers(0, 50), max_size=3),
    neighbours=st.integers(1, 50),
)
def test_ties_are_broken_as_by_a_stable_sort(points, cuts, neighbours) -> None:
    gallery = unit(np.array(points, np.float64))
    shards = [shard for shard in np.split(gallery, sorted(min(cut, len(gallery)) for cut in cuts)) if len(shard)]
    found = exact_search(gallery, shards, neighbours=min(neighbours, len(gallery)))
    # Equal points give equal similarities however they are added up.
    similarities = np.stack([similarity(np.repeat(row[None], len(gallery), 0), gallery) for row in gallery])
    expected = np.argsort(-similarities, axis=1, kind="stable")[:, : found[1].shape[1]]
    np.testing.assert_array_equal(found[1], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", [1, 30])
def test_faiss_finds_the_same(kind: str, queries: int) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    gallery, asked = draw(kind, 900, queries)
    shards = [gallery[:5], gallery[5:]]
    ours, theirs = exact_search(asked, shards, neighbours=10), faiss_search(asked, shards, neighbours=10)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_best_keeps_the_best_of_what_it_is_offered_in_any_order() -> None:
    gallery, asked = draw("duplicates", 60, 4)
    order = np.random.default_rng(1).permutation(60)
    best = BestRows(asked, 8)
    for piece in np.array_split(order, 7):
        best.offer(gallery, np.repeat(np.arange(4), len(piece)), np.tile(piece, 4), start=0)
    similarities = np.stack([similarity(np.repeat(row[None], 60, 0), gallery) for row in asked])
    np.testing.assert_array_equal(best.positions, np.argsort(-similarities, axis=1, kind="stable")[:, :8])


def test_auto_takes_faiss_only_where_it_is_the_faster_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    gallery, asked = draw("random", 12_000, 1000, features=4)
    used = {}
    for fast in (True, False):
        monkeypatch.setattr("unconfound.retrieval.nearest_rows.backends.multiplies_bfloat16", lambda fast=fast: fast)
        used[fast] = nearest_rows(asked, [gallery], neighbours=1, backend="auto")[2]
        assert nearest_rows(asked[:9], [gallery], neighbours=1, backend="auto")[2] == "exact"
        assert nearest_rows(asked, [gallery[:99]], neighbours=1, backend="auto")[2] == "exact"
    assert used == {True: "exact", False: "faiss"}


def test_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    gallery, asked = draw("random", 20, 1)
    with pytest.raises(ImportError, match=r"pip install 'unconfound\[search\]'"):
        nearest_rows(asked, [gallery], neighbours=1, backend="faiss")
    with pytest.raises(ValueError, match="backend must be auto, exact or faiss, got 'annoy'"):
        nearest_rows(asked, [gallery], neighbours=1, backend="annoy")  # type: ignore[arg-type]
