"""How well the nearest neighbours classify while an encoder trains, and how much of that hangs on the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import nn

from unconfound.data import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.evaluation.embed import embed
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import primary_of
from unconfound.evaluation.knn import knn_predict
from unconfound.evaluation.unseen import unseen
from unconfound.training.callback import Callback

# So many that a look takes seconds, not minutes.
TRAINING_SAMPLES, TESTED_SAMPLES = 2000, 1000
NEIGHBOURS = 5
GAP = ("mixed-same", "mixed-rand")


@final
class Monitor(Callback):
    """Adds to metrics.csv, every few epochs, how the nearest training samples classify others.

    `knn` is the accuracy in [0, 1] on the validation part, or on the first test set where there is none; with the test
    sets mixed-same and mixed-rand, `knn_mixed_rand` is that on mixed-rand and `knn_gap` is what it is below that on
    mixed-same. At most 2,000 training samples vote on at most 1,000 of each set, which are drawn once, the same ones of
    each run. So the figures are coarser than those of an evaluation, by up to 3 points. Whoever chooses by them chooses
    on test sets, unless there is a validation part.

    Args:
        dataset: what is trained on, and the sets.
        every: epochs between looks.

    Raises:
        ValueError: training samples have no labels, or too few, or there is no set with their classes.
    """

    def __init__(self, dataset: Dataset, *, every: int) -> None:
        if dataset.labelled is None or len(dataset.labelled) < NEIGHBOURS:
            raise ValueError(
                f"{dataset.train.name} has fewer than {NEIGHBOURS} labelled training samples, by which a monitor "
                "classifies: leave --monitor-every out"
            )
        known = {name: each for name, each in dataset.tests.items() if _labelled(each, dataset.labelled)}
        shown: dict[str, Source] = {}
        if dataset.validation is not None and _labelled(dataset.validation, dataset.labelled):
            shown["knn"] = dataset.validation
        elif known:
            shown["knn"] = known[primary_of(known)]
        if known.keys() >= set(GAP):
            shown |= {name: known[name] for name in GAP}
        if not shown:
            raise ValueError(
                f"{dataset.train.name} has no labelled samples beside those that are trained on, with their classes: "
                "give --validation-share 0.1, or leave --monitor-every out"
            )
        self.every = every
        self.train = _drawn(dataset.labelled, TRAINING_SAMPLES)
        # The same foregrounds of both sets, since these are drawn by position.
        self.shown = {name: _drawn(source, TESTED_SAMPLES) for name, source in shown.items()}

    def epoch(self, epoch: int, encoder: nn.Module) -> Mapping[str, float]:
        """Classify by the encoder as it is, after each `every`-th epoch."""
        if epoch % self.every:
            return {}
        device = next((each.device for each in encoder.parameters()), torch.device("cpu"))
        train = embed(encoder, self.train, device=device)
        accuracy = {name: _accuracy(train, embed(encoder, each, device=device)) for name, each in self.shown.items()}
        figures = {name: value for name, value in accuracy.items() if name == "knn"}
        if accuracy.keys() >= set(GAP):
            same, rand = (accuracy[name] for name in GAP)
            figures |= {"knn_mixed_rand": rand, "knn_gap": same - rand}
        return {name: round(value, 4) for name, value in figures.items()}


def _labelled(source: Source, labelled: Source) -> bool:
    known: Any = source.labels is not None and (source.labels >= 0).any()
    return bool(known) and not unseen(source, labelled.schema)


def _drawn(source: Source, most: int) -> Source:
    assert source.labels is not None
    known = (source.labels >= 0).nonzero().squeeze(1)
    chosen = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:most].sort().values
    return Subset(source, known[chosen])


def _accuracy(train: Embeddings, tested: Embeddings) -> float:
    assert tested.labels is not None
    return float((knn_predict(train, tested, neighbours=NEIGHBOURS) == tested.labels).float().mean())
