"""Mend an encoder in several ways, and measure each on the test sets on which it is measured before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from rich.progress import Progress
from torch import nn

from unconfound.data import Dataset, MemorySource
from unconfound.data.compose.swaps import in_memory
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.intervals import share
from unconfound.evaluation.predictions import classifier_predictions, probe_predictions
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.evaluation.set_figures import background_gaps
from unconfound.evaluation.unseen import unseen
from unconfound.mending.exchanged import embed_exchanged
from unconfound.mending.remedies import Remedy, Way, find_remedy
from unconfound.options.embedding import EmbeddingOptions

# What the gap is measured on, and what a reader compares it with.
TESTS = ("original", "mixed-same", "mixed-rand")


@dataclass(frozen=True, kw_only=True)
class MendingOptions:
    """How an encoder is mended.

    Args:
        exchanges: how often the background of each training image is exchanged.
        directions: that nap removes and whitening keeps; None: a quarter of the embedding's.
        seed: of the exchanges, and of the split by which regularisation is chosen.
        embedding: batch size, device and precision.
    """

    exchanges: int = 2
    directions: int | None = None
    seed: int = 0
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What ways to mend an encoder come to.

    Args:
        before: figures of the encoder and of its own classifier, if it has one.
        after: figures by way, of the mended encoder and of the classifier that goes with it.
        remedies: by way.
    """

    before: Evaluation
    after: dict[Way, Evaluation]
    remedies: dict[Way, Remedy]

    def cheapest(self, gap: float) -> tuple[Way, bool]:
        """Return the first way that brings the gap to a limit, and whether there is one.

        A way that recognises fewer images on random backgrounds than before does not count: a classifier that is
        always wrong has no gap, either. Where no way does it, the one that recognises most of these is returned.

        Args:
            gap: the largest accepted, a share.
        """
        least = recognised(self.before).value
        for way, evaluation in self.after.items():
            if gap_of(evaluation).value <= gap and recognised(evaluation).value >= least:
                return way, True
        return max(self.after, key=lambda way: recognised(self.after[way]).value), False


def compare_ways(
    encoder: EncoderFunction,
    classifier: nn.Linear | None,
    dataset: Dataset,
    ways: Sequence[Way],
    *,
    options: MendingOptions,
    progress: Progress | None = None,
) -> Comparison:
    """Mend an encoder in each of several ways.

    Every image is embedded once; the ways work on these embeddings.

    Args:
        encoder: of images.
        classifier: that was trained with it; None where there is none.
        dataset: labelled images with masks, in memory.
        ways: the cheapest first.
        options: how.
        progress: where bars are shown.

    Raises:
        ValueError: the data hold no images with masks, no labels, one class or too few images to exchange backgrounds,
            or `directions` does not fit the embeddings.
    """
    train = exchangeable(dataset)
    classes = len(train.schema.classes)
    exchanged = embed_exchanged(
        encoder,
        train,
        exchanges=options.exchanges,
        seed=options.seed,
        embedding=options.embedding,
        progress=progress,
    )
    tests = {
        name: embed(encoder, dataset.tests[name], progress=progress, **vars(options.embedding)).labelled()[0]
        for name in TESTS
        if name in dataset.tests
    }
    own = Embeddings(exchanged.own, torch.arange(len(train)), train.labels)
    fitting = classifier if classifier is not None and classifier.out_features == classes else None
    probe = fit_probe(own, seed=options.seed)
    before = _measured("before", tests, probe=probe, classifier=fitting)
    directions = options.directions or max(1, own.features.shape[1] // 4)
    remedies, after = dict[Way, Remedy](), dict[Way, Evaluation]()
    for way in ways:
        remedy = find_remedy(way, exchanged, directions=directions, classes=classes, seed=options.seed)
        remedies[way] = remedy
        after[way] = _measured(
            way,
            {name: _changed(each, remedy) for name, each in tests.items()},
            probe=probe if remedy.change is None else fit_probe(_changed(own, remedy), seed=options.seed),
            classifier=remedy.classifier,
        )
    return Comparison(before, after, remedies)


def exchangeable(dataset: Dataset) -> MemorySource:
    """Return the labelled training images with their masks.

    Raises:
        ValueError: they are no images, or have no masks or labels, or there are test sets of other classes or none with
            exchanged backgrounds.
    """
    train = dataset.train
    if train.schema.modality != "images":
        raise ValueError(f"{train.name} holds {train.schema.modality}: mend exchanges the backgrounds of images")
    if dataset.labelled is None:
        raise ValueError(f"{train.name} has no labels, by which mend measures before and after: give class folders")
    memory = in_memory(dataset.labelled)
    if memory is None:
        raise ValueError(
            f"{train.name} has no masks in memory, by which mend exchanges backgrounds: give --masks with a folder of "
            "masks, and enough --memory-gib to hold the images"
        )
    if not {"mixed-same", "mixed-rand"} <= dataset.tests.keys():
        said = next((note for note in train.notes if note.startswith("no backgrounds are swapped")), "")
        raise ValueError(f"{train.name} has no test sets with exchanged backgrounds{said and f' ({said})'}")
    if unseen(dataset.tests["mixed-rand"], train.schema):
        raise ValueError(f"the test sets of {train.name} are of classes that are not trained on: mend needs the same")
    return memory


def gap_of(evaluation: Evaluation) -> Figure:
    """Return the background gap of the classifier, and of the linear probe where there is no classifier."""
    figures = evaluation.background
    return figures.get("background_gap_classifier", figures["background_gap"])


def recognised(evaluation: Evaluation) -> Figure:
    """Return the accuracy on random backgrounds of the classifier, or of the probe where there is no classifier."""
    figures = evaluation.tests["mixed-rand"]
    return figures.get("classifier", figures["linear_probe"])


def _changed(embeddings: Embeddings, remedy: Remedy) -> Embeddings:
    return replace(embeddings, features=remedy.of(embeddings.features))


def _measured(
    name: str, tests: Mapping[str, Embeddings], *, probe: LinearProbe, classifier: nn.Linear | None
) -> Evaluation:
    """Measure as an evaluation does, but by classifier and linear probe alone."""
    predictions = {"linear_probe": {test: probe_predictions(probe, each) for test, each in tests.items()}}
    if classifier is not None:
        predictions["classifier"] = {test: classifier_predictions(classifier, each) for test, each in tests.items()}
    return Evaluation(
        name=name,
        tests={
            test: {
                predictor: share(given[test].classes == each.labelled()[1]) for predictor, given in predictions.items()
            }
            for test, each in tests.items()
        },
        background=background_gaps(tests, predictions),
        notes=probe.notes,
    )
