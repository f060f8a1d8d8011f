"""Sets whose classes were not trained on: no classifier knows their names, so what lies near what is all there is."""

from __future__ import annotations

from collections.abc import Mapping

from unconfound.data import Schema, Source
from unconfound.evaluation.background import check_same_samples
from unconfound.evaluation.clock import Clock
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.intervals import mean, mean_difference, paired_difference, share
from unconfound.evaluation.retrieval_figures import first_hit_figures, summed_up
from unconfound.evaluation.set_figures import SetFigures
from unconfound.functional.retrieval_metrics import RetrievalScores, retrieval_per_query


def unseen(source: Source, trained: Schema) -> bool:
    """Say whether the classes of a source are not those that were trained on."""
    return source.schema.classes != trained.classes


def evaluate_unseen(sets: Mapping[str, Embeddings], *, clock: Clock) -> SetFigures:
    """Evaluate sets of unseen classes by retrieval: every sample in turn queries the others of its set.

    Args:
        sets: labelled samples by the name of their set; at least one.
        clock: takes the time of the stage "retrieval".

    Returns:
        precision_at_1, r_precision and map_at_r of each set, and what `first_hit_figures` gives; and what
        `retrieval_on_backgrounds` gives, where backgrounds were swapped. Accuracies, in groups too, take a classifier
        and are left out.

    Raises:
        ValueError: two swaps of backgrounds do not hold the same samples in the same order.
    """
    scores: dict[str, RetrievalScores] = {}
    further: dict[str, dict[str, Figure]] = {}
    notes = [
        f"{', '.join(sets)}: classes that were not trained on, evaluated by retrieval alone (no probe, nearest "
        "neighbours, classifier or groups)"
    ]
    with clock.stage("retrieval"):
        for name, each in sets.items():
            known, labels = each.labelled()
            if len(labels.unique()) < len(labels):
                scores[name] = retrieval_per_query(known.features, labels)
                further[name] = first_hit_figures(known)
            else:
                notes.append(f"{name}: no two samples share a class, so that there is nothing to retrieve")
        background = retrieval_on_backgrounds(sets, scores)
    return SetFigures(
        tests={name: summed_up(scores[name]) if name in scores else {} for name in sets},
        background=background,
        notes=tuple(notes),
        further=further,
    )


def retrieval_on_backgrounds(
    sets: Mapping[str, Embeddings], scores: Mapping[str, RetrievalScores]
) -> dict[str, Figure]:
    """Give what retrieval loses, and what is left of it, where backgrounds stop matching the class.

    After Kobs and Hotho, "On Background Bias in Deep Metric Learning" (ICMV 2022), with the swaps of the Backgrounds
    Challenge. The intervals pair what one query finds in either set.

    Args:
        sets: the same labelled samples in the same order, by the name of the swap.
        scores: those of each set searched for itself.

    Returns:
        background_gap_precision_at_1 and background_gap_map_at_r, in [-1, 1]: of "mixed-same" minus "mixed-rand".
        precision_at_1_crossed and map_at_r_crossed: queries from "original" search "mixed-rand", their own sample left
        out. Those whose sets are absent are left out.

    Raises:
        ValueError: two sets do not hold the same samples with the same labels in the same order.
    """
    figures: dict[str, Figure] = {}
    if {"mixed-same", "mixed-rand"} <= scores.keys():
        check_same_samples(sets["mixed-same"], sets["mixed-rand"], names=("mixed-same", "mixed-rand"))
        same, rand = scores["mixed-same"], scores["mixed-rand"]
        figures["background_gap_precision_at_1"] = paired_difference(
            same.precision_at_1 > 0.5, rand.precision_at_1 > 0.5
        )
        figures["background_gap_map_at_r"] = mean_difference(same.map_at_r, rand.map_at_r)
    if {"original", "mixed-rand"} <= scores.keys():
        check_same_samples(sets["original"], sets["mixed-rand"], names=("original", "mixed-rand"))
        (asked, labels), (searched, _) = sets["original"].labelled(), sets["mixed-rand"].labelled()
        crossed = retrieval_per_query(asked.features, labels, gallery=searched.features)
        figures["precision_at_1_crossed"] = share(crossed.precision_at_1 > 0.5)
        figures["map_at_r_crossed"] = mean(crossed.map_at_r)
    return figures
