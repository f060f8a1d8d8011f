"""Accuracy in each group and over groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import share, weighted_share
from unconfound.functional.group_accuracy import group_accuracy
from unconfound.functional.labels import Array, whole_numbers


def group_figures(
    predictions: Integer[Array, " samples"],
    embeddings: Embeddings,
    *,
    names: Sequence[str],
    train_groups: Integer[Array, " training"] | None,
) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Give worst_group, average_group and reweighted_average, and the accuracy of each group by its name.

    Samples without a label or a group are left out, and so are groups without samples. average_group is over samples;
    the reweighted average weights groups by their shares of the training samples, and is left out where a group of the
    training samples has none here. The interval of the worst group is that of the group alone: it does not account for
    the choice of the lowest of several, which puts the value somewhat too low where groups are small.

    Args:
        predictions: of the embeddings.
        embeddings: labelled, with groups.
        names: those of the groups 0, 1, ...
        train_groups: the groups of the training samples; without them there is no reweighted_average.

    Raises:
        TypeError: predictions or groups are not integers.
        ValueError: no sample has both a label and a group, or a group has no name.
    """
    if embeddings.labels is None or embeddings.groups is None:
        raise ValueError("the embeddings carry no labels or no groups; give both to score groups")
    known = (embeddings.labels >= 0) & (embeddings.groups >= 0)
    if not bool(known.any()):
        raise ValueError("no sample has both a label and a group; give both to score groups")
    given, labels, groups = (
        whole_numbers("predictions", predictions)[known],
        embeddings.labels[known],
        embeddings.groups[known],
    )
    if int(groups.max()) >= len(names):
        raise ValueError(f"group {int(groups.max())} has no name, for only {len(names)} have; name every group")
    trained = _counts(train_groups, len(names))
    scores = group_accuracy(given, labels, groups, train_group_counts=trained)
    correct = given == labels
    by_name = {names[group]: share(correct[groups == group]) for group in groups.unique().tolist()}
    overall = {
        "worst_group": min(by_name.values(), key=lambda figure: figure.value),
        "average_group": share(correct),
    }
    if trained is not None and scores.reweighted_average is not None:
        right = torch.bincount(groups[correct], minlength=len(names))
        overall["reweighted_average"] = weighted_share(right, scores.counts, trained.double())
    return overall, by_name


def _counts(given: Array | None, names: int) -> Int[Tensor, " groups"] | None:
    """Count the samples of each group; None where no sample has one."""
    groups = None if given is None else whole_numbers("train_groups", given)
    if groups is None or not bool((groups >= 0).any()):
        return None
    return torch.bincount(groups[groups >= 0], minlength=names)
