"""Mend an encoder in several ways, choose one on held-out training samples, and measure all on the test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from rich.progress import Progress
from torch import nn

from unconfound.data import Dataset, Source
from unconfound.evaluation.embed import EncoderFunction, embed
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.evaluation.probe import LinearProbe, fit_probe
from unconfound.evaluation.set_figures import accuracies, background_gaps, predictions_of
from unconfound.mending.exchanged import embed_exchanged
from unconfound.mending.held_out import Divided, divided
from unconfound.mending.remedies import Remedy, Way, find_remedy
from unconfound.options.embedding import EmbeddingOptions

# What the gap is measured on, and what a reader compares it with.
TESTS = ("original", "mixed-same", "mixed-rand")


@dataclass(frozen=True, kw_only=True)
class MendingOptions:
    """How an encoder is mended.

    Args:
        exchanges: how often the background or nuisance of each training sample is exchanged.
        directions: that nap removes and whitening keeps; None: a quarter of the embedding's.
        seed: of the exchanges, and of the training samples that are held out.
        embedding: batch size, device and precision.
    """

    exchanges: int = 2
    directions: int | None = None
    seed: int = 0
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)


@dataclass(frozen=True, eq=False)
class Measured:
    """An encoder with a classifier, measured twice.

    Args:
        chosen_by: on held-out training samples.
        tested: on the test sets, from which nothing is chosen.
    """

    chosen_by: Evaluation
    tested: Evaluation


@dataclass(frozen=True, eq=False)
class Comparison:
    """What ways to mend an encoder come to.

    Args:
        before: the encoder and its own classifier, or a linear probe where it has none.
        after: by way, the mended encoder and the classifier that goes with it.
        remedies: by way.
    """

    before: Measured
    after: dict[Way, Measured]
    remedies: dict[Way, Remedy]

    def reaches(self, way: Way, gap: float) -> bool:
        """Return whether a way brings the gap of held-out samples to a limit.

        A way that recognises fewer with random backgrounds or nuisances than before does not: a classifier that is
        always wrong has no gap, either.

        Args:
            way: of `after`.
            gap: the largest accepted, a share.
        """
        found = self.after[way].chosen_by
        return gap_of(found).value <= gap and recognised(found).value >= recognised(self.before.chosen_by).value

    def cheapest(self, gap: float) -> tuple[Way, bool]:
        """Return the first way that reaches a gap, and whether there is one.

        Where none does, the way that recognises most held-out samples with random backgrounds or nuisances is returned.

        Args:
            gap: as for `reaches`.
        """
        for way in self.after:
            if self.reaches(way, gap):
                return way, True
        return max(self.after, key=lambda way: recognised(self.after[way].chosen_by).value), False


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

    Every sample is embedded once; the ways work on these embeddings. A linear probe of the samples as they are is
    measured only where it tells something: where embeddings are changed, or there is no classifier of before.

    Args:
        encoder: of samples.
        classifier: that was trained with it; None where there is none.
        dataset: labelled images with masks in memory, or labelled samples with a nuisance.
        ways: the cheapest first.
        options: how.
        progress: where bars are shown.

    Raises:
        ValueError: the data hold neither images with masks nor a nuisance, no labels, one class or too few samples to
            exchange among, or `directions` does not fit the embeddings.
    """
    parts = divided(dataset, seed=options.seed)
    classes = len(parts.fitted.schema.classes)
    fitting = classifier if classifier is not None and classifier.out_features == classes else None
    probing = fitting is None or any(way != "refit" for way in ways)
    exchanged = embed_exchanged(
        encoder,
        parts.fitted,
        exchanges=options.exchanges,
        seed=options.seed,
        embedding=options.embedding,
        own=probing,
        progress=progress,
    )
    held_out, tests = _embedded(encoder, parts, dataset, options=options, progress=progress)
    own = (
        None
        if exchanged.own is None
        else Embeddings(exchanged.own, torch.arange(len(parts.fitted)), parts.fitted.labels)
    )
    probe = None if own is None else fit_probe(own, seed=options.seed)
    before = _measured("before", held_out, tests, probe=probe, classifier=fitting)
    directions = options.directions or max(1, exchanged.others.shape[2] // 4)
    remedies, after = dict[Way, Remedy](), dict[Way, Measured]()
    for way in ways:
        remedy = find_remedy(way, exchanged, held_out, directions=directions, classes=classes, seed=options.seed)
        remedies[way] = remedy
        changed = None if remedy.change is None or own is None else remedy.changed({"own": own})["own"]
        after[way] = _measured(
            way,
            remedy.changed(held_out),
            remedy.changed(tests),
            # Where embeddings stay as they are, the probe would be that of before.
            probe=None if changed is None else fit_probe(changed, seed=options.seed),
            classifier=remedy.classifier,
        )
    return Comparison(before, after, remedies)


def measure(
    name: str,
    encoder: EncoderFunction,
    classifier: nn.Linear,
    dataset: Dataset,
    *,
    options: MendingOptions,
    progress: Progress | None = None,
) -> Measured:
    """Measure an encoder and its classifier as `compare_ways` measures what it mends, on the same samples.

    Args:
        name: how tables call it.
        encoder: of samples.
        classifier: of its embeddings.
        dataset: that was given to `compare_ways`.
        options: that were given there.
        progress: where bars are shown.
    """
    parts = divided(dataset, seed=options.seed)
    held_out, tests = _embedded(encoder, parts, dataset, options=options, progress=progress)
    probe = fit_probe(embed(encoder, parts.fitted, progress=progress, **vars(options.embedding)), seed=options.seed)
    return _measured(name, held_out, tests, probe=probe, classifier=classifier)


def gap_of(evaluation: Evaluation) -> Figure:
    """Return the gap of an evaluation that has one, as those here do."""
    assert evaluation.gap is not None
    return evaluation.gap


def recognised(evaluation: Evaluation, test: str = "mixed-rand") -> Figure:
    """Return the accuracy of the classifier, or else of the probe; by default with random backgrounds or nuisances."""
    figures = evaluation.tests[test]
    return figures["classifier" if "classifier" in figures else "linear_probe"]


def _embedded(
    encoder: EncoderFunction,
    parts: Divided,
    dataset: Dataset,
    *,
    options: MendingOptions,
    progress: Progress | None,
) -> tuple[dict[str, Embeddings], dict[str, Embeddings]]:
    """Embed what is measured on: held-out samples, and test sets."""

    def each(sets: Mapping[str, Source]) -> dict[str, Embeddings]:
        return {
            name: embed(encoder, source, progress=progress, **vars(options.embedding)).labelled()[0]
            for name, source in sets.items()
        }

    return each(parts.held_out), each({name: dataset.tests[name] for name in TESTS if name in dataset.tests})


def _measured(
    name: str,
    held_out: Mapping[str, Embeddings],
    tests: Mapping[str, Embeddings],
    *,
    probe: LinearProbe | None,
    classifier: nn.Linear | None,
) -> Measured:
    """Measure as an evaluation does, but by classifier and linear probe alone."""

    def measured(sets: Mapping[str, Embeddings]) -> Evaluation:
        predictions = predictions_of(
            sets, probes={} if probe is None else {"linear_probe": probe}, classifier=classifier
        )
        return Evaluation(
            name=name,
            tests=accuracies(sets, predictions),
            background=background_gaps(sets, predictions),
            notes=() if probe is None else probe.notes,
        )

    return Measured(measured(held_out), measured(tests))
