"""How much a classifier relies on the background, after Xiao et al., "Noise or Signal: The Role of Image Backgrounds in
Object Recognition", ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import paired_difference, share
from unconfound.evaluation.probe import LinearProbe
from unconfound.functional.labels import Array, whole_numbers


def background_gap(
    same: Embeddings,
    rand: Embeddings,
    *,
    same_predictions: Integer[Array, " samples"],
    rand_predictions: Integer[Array, " samples"],
) -> Figure:
    """Give the accuracy lost when the background stops matching the class, in [-1, 1].

    It is the accuracy on foregrounds that stand on a background of their own class ("mixed-same") minus that of the
    same foregrounds on backgrounds of random classes ("mixed-rand"), section 3 of the paper. The interval pairs the two
    answers to each foreground. Samples without a label are left out.

    Raises:
        TypeError: predictions are not integers.
        ValueError: the two do not hold the same samples with the same labels in the same order.
    """
    labels = check_same_samples(same, rand, names=("mixed-same", "mixed-rand"))
    known = labels >= 0
    first, second = (
        whole_numbers("same_predictions", same_predictions),
        whole_numbers("rand_predictions", rand_predictions),
    )
    return paired_difference((first == labels)[known], (second == labels)[known])


def check_same_samples(first: Embeddings, second: Embeddings, *, names: tuple[str, str]) -> Int[Tensor, " samples"]:
    """Return the labels of two sets that show the same samples on different backgrounds.

    Raises:
        ValueError: the two do not hold the same samples with the same labels in the same order.
    """
    if (
        first.labels is None
        or second.labels is None
        or not torch.equal(first.index, second.index)
        or not torch.equal(first.labels, second.labels)
    ):
        raise ValueError(
            f"the {len(first)} samples of {names[0]} and the {len(second)} of {names[1]} must be the same labelled "
            "foregrounds in the same order; compose both from one list of foregrounds"
        )
    return first.labels


def train_test_cells(probes: Mapping[str, LinearProbe], tests: Mapping[str, Embeddings]) -> dict[str, Figure]:
    """Give the accuracy of each probe on each test set, as "trained on/tested on".

    With probes fitted on full images and on their foregrounds alone, and tested on both, the four cells show what is
    in the embeddings: "full/foreground" far below "foreground/foreground" means that the foreground can be read from
    them, but that a classifier prefers the background where there is one.

    Args:
        probes: by what they were fitted on, "full" and "foreground".
        tests: labelled embeddings, by what they show, "full" and "foreground".
    """
    known = {name: embeddings.labelled() for name, embeddings in tests.items()}
    return {
        f"{fitted}/{tested}": share(probe.predict(embeddings) == labels)
        for fitted, probe in probes.items()
        for tested, (embeddings, labels) in known.items()
    }
