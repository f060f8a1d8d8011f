"""Whose background or nuisance each sample gets, where a class is wanted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64
from numpy import ndarray


def donors_of(
    classes: Int64[ndarray, " samples"],
    givers: Mapping[int, Int64[ndarray, " givers"]],
    rng: np.random.Generator,
) -> Int64[ndarray, " samples"]:
    """Draw for each sample a uniformly random giver of the wanted class that is not the sample itself.

    Args:
        classes: the class that each sample gets its background or nuisance from.
        givers: by class, the samples that have one to give, ascending; two or more.
        rng: of the draw.
    """
    chosen = np.empty(len(classes), np.int64)
    for label, candidates in givers.items():
        takers = np.flatnonzero(classes == label)
        place = np.searchsorted(candidates, takers)
        itself = (place < len(candidates)) & (candidates[np.minimum(place, len(candidates) - 1)] == takers)
        drawn = rng.integers(len(candidates) - itself)
        chosen[takers] = candidates[drawn + (itself & (drawn >= place))]
    return chosen
