"""How far two ways to divide the same samples agree, beside what would be seen if one of them were shuffled.

Both are known of every sample, so that what is in doubt is chance alone: a permutation says how far that reaches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer

from unconfound.evaluation.intervals import NORMAL
from unconfound.functional.labels import Array, whole_numbers

SHUFFLES = 199


@dataclass(frozen=True)
class Agreement:
    """A measure of two divisions of the same samples.

    Args:
        value: what it is.
        low, high: between which 95 % of the values lie where one of the divisions is shuffled.
        most: what no division into parts of these sizes exceeds.
        samples: over how many.
    """

    value: float
    low: float
    high: float
    most: float
    samples: int


def adjusted_rand(first: Integer[Array, " samples"], second: Integer[Array, " samples"], *, seed: int = 0) -> Agreement:
    """Give the adjusted Rand index: 1 where the parts are the same, 0 on average where one division is shuffled.

    Hubert and Arabie, "Comparing partitions", 1985. Two samples are together in both divisions in at most
    min(pairs together in the first, pairs together in the second) cases; `most` is the index of that. It is much below
    1 where one division has many more parts than the other, or parts of quite other sizes.

    Args:
        first, second: the part of each sample, at least 0.
        seed: of the shuffled divisions.

    Raises:
        TypeError: parts are not integers.
        ValueError: there is no sample, or not as many in both.
    """
    first, second = whole_numbers("first", first), whole_numbers("second", second)
    if len(first) == 0 or len(first) != len(second):
        raise ValueError(
            f"two divisions of the same samples are compared, got {len(first)} and {len(second)}: give both of all"
        )
    rows, columns = (part.unique(return_inverse=True)[1].cpu().numpy() for part in (first, second))
    table = np.zeros((rows.max() + 1, columns.max() + 1), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    ones, others = _pairs(table.sum(1)), _pairs(table.sum(0))
    expected = ones * others / max(_pairs(table.sum()), 1.0)
    span = (ones + others) / 2 - expected

    def index(together: float) -> float:
        # Without a span both have one part, or one sample a part: they are the same.
        return (together - expected) / span if span > 0 else 1.0

    generator, margins = np.random.default_rng(seed), (table.sum(1), table.sum(0))
    chance = [index(_pairs(_shuffled(*margins, generator))) for _ in range(SHUFFLES)]
    low, high = np.quantile(chance, (0.025, 0.975)).tolist()
    return Agreement(index(_pairs(table)), low, high, index(min(ones, others)), len(first))


def _shuffled(
    rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"], generator: np.random.Generator
) -> Int[np.ndarray, "rows columns"]:
    """Count how the parts of two divisions of given sizes overlap where samples are dealt at random.

    Not by scipy.stats.random_table, which gives counts below 0 for a single row.
    """
    left, dealt = columns.copy(), []
    for size in rows.tolist():
        dealt.append(generator.multivariate_hypergeometric(left, size, method="marginals"))
        left -= dealt[-1]
    return np.stack(dealt)


def _pairs(counts: Int[np.ndarray, "*parts"]) -> float:
    """How many pairs of samples are together in one part."""
    many = np.asarray(counts, dtype=np.float64)
    return float((many * (many - 1) / 2).sum())


def ranked_higher(scores: Float[Array, " samples"], positive: Bool[Array, " samples"]) -> Agreement:
    """Give the area under the ROC curve: how often a positive sample has a higher score than another one.

    Equal scores count half. The range of shuffled scores is the normal one of Mann and Whitney, 1947, with the
    correction for ties.

    Raises:
        ValueError: all samples are positive, or none is.
    """
    scores, positive = torch.as_tensor(scores), torch.as_tensor(positive)
    count, positives = len(scores), int(positive.sum())
    others = count - positives
    if positives == 0 or others == 0:
        raise ValueError(f"{positives} of {count} samples are positive: an area under the curve needs both kinds")
    from scipy.stats import rankdata  # which takes a second to import

    ranks = rankdata(scores.double().cpu().numpy())
    above = float(ranks[positive.cpu().numpy()].sum()) - positives * (positives + 1) / 2
    ties = torch.unique(scores, return_counts=True)[1].double()
    tied = float((ties**3 - ties).sum()) / (count * (count - 1))
    half = NORMAL * math.sqrt(max(0.0, count + 1 - tied) / (12 * positives * others))
    return Agreement(above / (positives * others), max(0.0, 0.5 - half), min(1.0, 0.5 + half), 1.0, count)
