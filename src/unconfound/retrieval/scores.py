"""How well a search did, where the classes of queries and items are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from unconfound.files import write_text
from unconfound.retrieval.hits import Hits
from unconfound.retrieval.index import Index

SCORES = "scores.json"
TITLES = {
    "precision_at_1": "P@1",
    "mean_reciprocal_rank": "mean reciprocal rank",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
}


def relevant_items(labels: Sequence[str | None], index: Index, own: Mapping[int, int]) -> Int[np.ndarray, " queries"]:
    """Count the items of each query's class that it may find; 0 where its class is not known.

    Args:
        labels: of the queries.
        index: what is searched.
        own: the position of the item that is the query itself, by the query's row.
    """
    items = index.items["label"]
    counts = Counter(items.to_pylist())
    relevant = np.array([0 if label is None else counts[label] for label in labels], np.int64)
    for row, position in own.items():
        relevant[row] -= labels[row] is not None and items[position].as_py() == labels[row]
    return relevant


def search_scores(answers: Hits) -> dict[str, float]:
    """Score the answers to queries whose class has an item to be found; items without a class count as misses.

    Returns:
        precision_at_1, Recall@K as recall_at_2, recall_at_4, ... up to the number of neighbours, and
        mean_reciprocal_rank (a query without a hit among its neighbours counts 0), in [0, 1]; r_precision and map_at_r
        where some queries have no more relevant items than there are neighbours, averaged over these; `queries` and
        `queries_of_map_at_r`, how many these are. Empty where no query can be scored. Definitions are those of
        `unconfound.functional.retrieval_metrics`.
    """
    known = answers.relevant > 0
    hits, relevant = answers.hits()[known] == 1, answers.relevant[known]
    if not len(hits):
        return {}
    width = hits.shape[1]
    ranks = np.arange(1, width + 1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    scores: dict[str, float] = {"queries": len(hits), "precision_at_1": float((first == 1).mean())}
    counts = [2**power for power in range(1, width.bit_length()) if 2**power <= width]
    scores |= {f"recall_at_{count}": float((first <= count).mean()) for count in counts}
    scores["mean_reciprocal_rank"] = float((1 / first).mean())
    whole = relevant <= width
    if whole.any():
        counted = hits[whole] & (ranks <= relevant[whole, None])
        precisions: NDArray[np.float64] = counted.cumsum(axis=1) / ranks * counted
        scores |= {
            "queries_of_map_at_r": int(whole.sum()),
            "r_precision": float((counted.sum(axis=1) / relevant[whole]).mean()),
            "map_at_r": float((precisions.sum(axis=1) / relevant[whole]).mean()),
        }
    return scores


def scores_line(scores: Mapping[str, float]) -> str:
    """Say the scores in one line, in percent."""
    told = [f"{_title(name)} {100 * value:.1f} %" for name, value in scores.items() if not name.startswith("queries")]
    queries = scores["queries"]
    whole = scores.get("queries_of_map_at_r", queries)
    some = "" if whole == queries else f" (R-precision and MAP@R of the {whole:,} whose class was asked for in full)"
    which = "query with items of its class" if queries == 1 else "queries with items of their class"
    return f"Of {queries:,} {which}: {', '.join(told)}{some}"


def write_scores(path: Path, scores: Mapping[str, float]) -> None:
    """Write scores as JSON, whole or not at all."""
    write_text(path, json.dumps(scores, indent=2, allow_nan=False) + "\n")


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("recall_at_", "Recall@"))
