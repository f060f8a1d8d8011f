"""Scores of a search, against their definitions query by query."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from unconfound.retrieval.hits import Hits
from unconfound.retrieval.scores import relevant_items, scores_line, search_scores, write_scores

ITEMS = ["a", "b", "a", None, "b", "b", "c", "a", "a"]
LABELS = ["a", "b", None, "d", "c", "b"]
# The item at 6 is the fifth query itself, so that its class has nothing else.
OWN = {4: 6, 1: 1}
POSITIONS = np.array(
    [[1, 0, 3, 2], [4, 5, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [3, 0, 2, -1]],
)


def answers() -> Hits:
    index = SimpleNamespace(items=pa.table({"name": [str(row) for row in range(9)], "label": ITEMS}))
    nothing = np.zeros(POSITIONS.shape)
    relevant = relevant_items(LABELS, index, OWN)  # type: ignore[arg-type]
    names = [str(row) for row in range(6)]
    return Hits(index, names, LABELS, nothing.astype(np.float32), nothing, POSITIONS, [], "exact", 2, relevant)  # type: ignore[arg-type]


def naive(*, neighbours: int) -> dict[str, float]:
    rows = []
    for query, label in enumerate(LABELS):
        others = [item for position, item in enumerate(ITEMS) if OWN.get(query) != position]
        relevant = 0 if label is None else others.count(label)
        if relevant == 0:
            continue
        hits = [place >= 0 and ITEMS[place] == label for place in POSITIONS[query]]
        row = {
            "precision_at_1": float(hits[0]),
            "mean_reciprocal_rank": next((1 / rank for rank, hit in enumerate(hits, 1) if hit), 0.0),
            "recall_at_2": float(any(hits[:2])),
            "recall_at_4": float(any(hits)),
        }
        if relevant <= neighbours:
            row["r_precision"] = sum(hits[:relevant]) / relevant
            row["map_at_r"] = (
                sum(sum(hits[:rank]) / rank for rank in range(1, relevant + 1) if hits[rank - 1]) / relevant
            )
        rows.append(row)
    names = {name for row in rows for name in row}
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def test_scores_are_those_of_their_definitions(tmp_path: Path) -> None:
    scores = search_scores(answers())
    assert (scores.pop("queries"), scores.pop("queries_of_map_at_r")) == (3, 3)
    assert scores == pytest.approx(naive(neighbours=4))
    write_scores(tmp_path / "scores.json", scores)
    assert json.loads((tmp_path / "scores.json").read_text()) == scores


def test_queries_whose_class_is_larger_than_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.POSITIONS", POSITIONS[:, :3])
    scores = search_scores(answers())
    line = scores_line(scores)
    # Class a has four items, class b three, or two beside the query itself.
    assert (scores.pop("queries"), scores.pop("queries_of_map_at_r")) == (3, 2)
    expected = naive(neighbours=3)
    del expected["recall_at_4"]
    assert scores == pytest.approx(expected)
    assert line.startswith("Of 3 queries with items of their class: P@1 33.3 %, Recall@2 ")
    assert line.endswith("(R-precision and MAP@R of the 2 whose class was asked for in full)")


def test_nothing_is_scored_where_no_class_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.LABELS", [None] * 6)
    assert search_scores(answers()) == {}
