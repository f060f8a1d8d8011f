from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.retrieval_metrics import first_hits, retrieval_metrics, retrieval_per_query


def naive_scores(similarities, labels):
    """Precision at 1, R-precision and MAP@R of each query that has something to find, by its definition."""
    scores = {}
    for query, row in enumerate(similarities):
        others = [other for other in range(len(row)) if other != query]
        relevant = sum(labels[other] == labels[query] for other in others)
        if relevant == 0:
            continue
        ranking = sorted(others, key=lambda other: (-row[other], other))[:relevant]
        hits = [labels[other] == labels[query] for other in ranking]
        precisions = [sum(hits[: i + 1]) / (i + 1) if hit else 0.0 for i, hit in enumerate(hits)]
        scores[query] = (float(hits[0]), sum(hits) / relevant, sum(precisions) / relevant)
    return scores


def draw(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def check(embeddings, labels, similarities, tile):
    expected = naive_scores(similarities.tolist(), labels.tolist())
    scores = retrieval_per_query(embeddings, labels, tile=tile)
    assert scores.queries.tolist() == sorted(expected)
    columns = torch.tensor([expected[query] for query in sorted(expected)], dtype=torch.float64).T
    torch.testing.assert_close(torch.stack(scores[1:]), columns, rtol=0, atol=1e-12)
    averages = retrieval_metrics(embeddings, labels, tile=tile)
    assert list(averages) == ["precision_at_1", "r_precision", "map_at_r"]
    assert list(averages.values()) == pytest.approx(columns.mean(1).tolist(), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    labels=st.lists(st.integers(0, 3), min_size=5, max_size=40),
    tile=st.sampled_from([1, 3, 1024]),
    seed=st.integers(0, 1000),
)
def test_scores_equal_their_definition(labels, tile, seed):
    embeddings = draw(seed, len(labels), 3)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    check(embeddings, torch.tensor(labels), unit @ unit.T, tile)


@settings(deadline=None, max_examples=25)
@given(
    directions=st.lists(st.integers(0, 2), min_size=5, max_size=30),
    tile=st.sampled_from([1, 4, 1024]),
    seed=st.integers(0, 1000),
)
def test_ties_go_to_the_lowest_index(directions, tile, seed):
    # Rows along the axes: all similarities are exactly 0 or 1, and most rows have exact duplicates.
    embeddings = 3 * torch.eye(3, dtype=torch.float64)[directions]
    labels = torch.randint(0, 2, (len(directions),), generator=torch.Generator().manual_seed(seed))
    check(embeddings, labels, (embeddings @ embeddings.T).sign(), tile)


@pytest.mark.parametrize("tile", [7, 1024])
def test_many_rows_and_few_of_a_class(tile):
    """Classes of unlike size, and a lone row."""
    labels = torch.cat([torch.arange(80).repeat(3), torch.full((40,), 80), torch.tensor([81])])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    embeddings = draw(1, 82, 4)[labels] + 0.7 * draw(2, len(labels), 4)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    check(embeddings, labels, unit @ unit.T, tile)


def test_hand_worked_example():
    # Seen from row 0 (label 0) the others come in the order 1, 2, 3, 4 with labels 0, 1, 0, 1.
    angles = torch.tensor([0.0, 10, 20, 30, 170]).deg2rad()
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    scores = retrieval_per_query(embeddings, torch.tensor([0, 0, 1, 0, 1]))
    assert [float(values[0]) for values in scores[1:]] == [1, 0.5, 0.5]
    # Row 4 has one relevant row, 2, but 3 is nearer.
    assert [float(values[4]) for values in scores[1:]] == [0, 0, 0]


def test_perfect_and_collapsed_embeddings():
    labels = torch.arange(4).repeat_interleave(5)
    perfect = retrieval_metrics(torch.eye(4)[labels], labels)
    assert perfect == {"precision_at_1": 1, "r_precision": 1, "map_at_r": 1}
    # All equally near: each query finds the rows of the lowest indices, which are those of the first class.
    collapsed = retrieval_per_query(torch.ones(20, 3), labels)
    assert collapsed.precision_at_1.tolist() == [1.0] * 5 + [0.0] * 15
    assert collapsed.r_precision.tolist() == [1.0] * 5 + [0.0] * 15


def test_scale_and_precision_do_not_matter():
    labels = torch.arange(30) % 4
    embeddings = draw(3, 30, 8, dtype=torch.float32)
    expected = retrieval_metrics(embeddings, labels)
    assert retrieval_metrics(embeddings * torch.rand(30, 1).add(0.1), labels) == expected
    half = embeddings.half()
    assert retrieval_metrics(half, labels) == retrieval_metrics(half.float(), labels)
    # Names of classes mean nothing.
    assert retrieval_metrics(embeddings, 10**9 - 7 * labels) == expected


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_of_retrieval():
    rows, labels = torch.eye(3), torch.tensor([0, 0, 1])
    with pytest.raises(ValueError, match="no two of the 3 rows share a label"):
        retrieval_metrics(rows, torch.arange(3))
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\), one a row, got \(2,\)"):
        retrieval_metrics(rows, labels[:2])
    with pytest.raises(ValueError, match="0 or above, got -1: leave out"):
        retrieval_metrics(rows, labels - 1)
    with pytest.raises(ValueError, match=r"got shape \(0, 3\)"):
        retrieval_metrics(rows[:0], labels[:0])
    with pytest.raises(ValueError, match="tile must be at least 1 row, got 0"):
        retrieval_metrics(rows, labels, tile=0)
    with pytest.raises(ValueError, match="1 of 3 rows hold NaN or infinity, the first is row 2"):
        retrieval_metrics(torch.tensor([[1.0], [2], [math.nan]]), labels)
    with pytest.raises(TypeError, match="embeddings must be floating-point"):
        retrieval_metrics(rows.long(), labels)


@settings(deadline=None, max_examples=25)
@given(
    labels=st.lists(st.integers(0, 3), min_size=5, max_size=40),
    tile=st.sampled_from([1, 3, 1024]),
    seed=st.integers(0, 1000),
)
def test_a_gallery_of_the_same_samples_seen_otherwise_is_searched_without_the_own_row(labels, tile, seed):
    queries, gallery = draw(seed, len(labels), 3), draw(seed + 1, len(labels), 3)
    similarities = torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(gallery).T
    expected = naive_scores(similarities.tolist(), labels)
    scores = retrieval_per_query(queries, torch.tensor(labels), gallery=gallery, tile=tile)
    assert scores.queries.tolist() == sorted(expected)
    columns = torch.tensor([expected[query] for query in sorted(expected)], dtype=torch.float64).T
    torch.testing.assert_close(torch.stack(scores[1:]), columns, rtol=0, atol=1e-12)


def test_embeddings_searched_in_themselves_give_the_same_as_without_a_gallery():
    rows, labels = draw(0, 30, 4), torch.arange(30) % 4
    assert retrieval_metrics(rows, labels, gallery=rows) == retrieval_metrics(rows, labels)


def test_a_gallery_of_other_samples_or_without_numbers_is_refused():
    rows, labels = torch.ones(4, 2), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"the queries' samples in their order, \(4, 2\), got \(5, 2\)"):
        retrieval_per_query(rows, labels, gallery=torch.ones(5, 2))
    with pytest.raises(ValueError, match="gallery must be finite"):
        retrieval_per_query(rows, labels, gallery=torch.full((4, 2), torch.nan))


def naive_ranks(similarities, labels, gallery_labels, *, own):
    """The rank of the first relevant row of each query that has one."""
    ranks = {}
    for query, row in enumerate(similarities):
        others = [other for other in range(len(row)) if not (own and other == query)]
        ranking = sorted(others, key=lambda other: (-row[other], other))
        hits = [rank for rank, other in enumerate(ranking, 1) if gallery_labels[other] == labels[query]]
        if hits:
            ranks[query] = hits[0]
    return ranks


@settings(deadline=None, max_examples=15)
@given(
    labels=st.lists(st.integers(0, 3), min_size=5, max_size=40),
    others=st.lists(st.integers(0, 4), min_size=3, max_size=90),
    tile=st.sampled_from([1, 3, 1024]),
    seed=st.integers(0, 1000),
)
def test_queries_search_a_reference_set_of_other_samples(labels, others, tile, seed):
    queries, gallery = draw(seed, len(labels), 3), draw(seed + 1, len(others), 3)
    similarities = (torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(gallery).T).tolist()
    # By the definition for rows among themselves: queries and references are one set, in which queries are not found.
    expected = {}
    for query, row in enumerate(similarities):
        relevant = others.count(labels[query])
        if relevant:
            ranking = sorted(range(len(row)), key=lambda other: (-row[other], other))[:relevant]
            hits = [others[other] == labels[query] for other in ranking]
            precisions = [sum(hits[: i + 1]) / (i + 1) if hit else 0.0 for i, hit in enumerate(hits)]
            expected[query] = (float(hits[0]), sum(hits) / relevant, sum(precisions) / relevant)
    given_ = {"gallery": gallery, "gallery_labels": torch.tensor(others), "tile": tile}
    if not expected:
        with pytest.raises(ValueError, match="no label of the queries is in the gallery"):
            retrieval_per_query(queries, torch.tensor(labels), **given_)
        return
    scores = retrieval_per_query(queries, torch.tensor(labels), **given_)
    assert scores.queries.tolist() == list(expected)
    columns = torch.tensor(list(expected.values()), dtype=torch.float64).T
    torch.testing.assert_close(torch.stack(scores[1:]), columns, rtol=0, atol=1e-12)
    found = first_hits(queries, torch.tensor(labels), **given_)
    ranks = naive_ranks(similarities, labels, others, own=False)
    assert dict(zip(found.queries.tolist(), found.ranks.tolist(), strict=True)) == ranks


@pytest.mark.parametrize("tile", [7, 1024])
def test_first_hits_of_rows_among_themselves(tile):
    """Some have to look far: a class of two at opposite ends."""
    embeddings, labels = draw(5, 90, 4), torch.arange(90) // 2
    embeddings[1] = -embeddings[0]
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    found = first_hits(embeddings, labels, tile=tile)
    ranks = naive_ranks((unit @ unit.T).tolist(), labels.tolist(), labels.tolist(), own=True)
    assert dict(zip(found.queries.tolist(), found.ranks.tolist(), strict=True)) == ranks
    assert ranks[0] == 89
    for count in (1, 2, 8, 89):
        recall = sum(rank <= count for rank in ranks.values()) / 90
        assert (found.ranks <= count).double().mean() == pytest.approx(recall)
    assert float((found.ranks == 1).double().mean()) == retrieval_metrics(embeddings, labels)["precision_at_1"]
    assert (1 / found.ranks).double().mean() == pytest.approx(sum(1 / rank for rank in ranks.values()) / 90)


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_reference_sets():
    rows, labels = torch.ones(4, 2), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match="same number of features, got 2 and 3"):
        retrieval_metrics(rows, labels, gallery=torch.ones(5, 3), gallery_labels=torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"labels must have shape \(5,\), one a row, got \(4,\)"):
        retrieval_metrics(rows, labels, gallery=torch.ones(5, 2), gallery_labels=labels)
    with pytest.raises(ValueError, match="gallery_labels are those of a gallery, and there is none"):
        first_hits(rows, labels, gallery_labels=labels)
