from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.toy import masked_data

from mending.toy import of_backgrounds, read_both
from unconfound.evaluation import Judging, evaluate
from unconfound.mending.held_out import divided
from unconfound.mending.mend import Comparison, Measured, MendingOptions, compare_ways, gap_of, measure, recognised
from unconfound.options.embedding import EmbeddingOptions

OPTIONS = MendingOptions(exchanges=2, directions=3, embedding=EmbeddingOptions(device="cpu"))
WAYS = ("refit", "leace", "nap", "whitening")


@pytest.fixture(scope="module")
def comparison():
    return compare_ways(read_both, of_backgrounds(), masked_data(), WAYS, options=OPTIONS)


def test_every_way_closes_the_gap_that_was_there_before(comparison):
    assert gap_of(comparison.before.tested).value == 1
    assert recognised(comparison.before.tested).value == 0
    for way in WAYS:
        for found in (comparison.after[way].tested, comparison.after[way].chosen_by):
            assert gap_of(found).value == 0, way
            assert recognised(found).value == 1, way
    assert comparison.cheapest(0.05) == ("refit", True)


@pytest.mark.parametrize("way", ["before", *WAYS])
def test_figures_are_those_of_an_evaluation(comparison, way):
    """What a map does to embeddings here, an evaluation of the mapped encoder finds."""
    remedy = comparison.remedies.get(way)
    encoder = read_both if remedy is None else lambda inputs: remedy.of(read_both(inputs))
    classifier = of_backgrounds() if remedy is None else remedy.classifier
    fitted = divided(masked_data(), seed=0).fitted
    dataset = replace(masked_data(), train=fitted, labelled=fitted, train_foreground=None)
    judged = evaluate(encoder, dataset, name=way, classifier=classifier, judging=Judging(device="cpu"))
    found = (comparison.before if remedy is None else comparison.after[way]).tested
    for test, figures in found.tests.items():
        for metric, figure in figures.items():
            assert judged.evaluation.tests[test][metric] == figure
    for metric, figure in found.background.items():
        assert judged.evaluation.background[metric] == figure


def test_measured_alone_an_encoder_has_the_same_figures(comparison):
    found = measure("before", read_both, of_backgrounds(), masked_data(), options=OPTIONS)
    assert found.tested == comparison.before.tested
    assert found.chosen_by == comparison.before.chosen_by


def test_refit_alone_computes_no_linear_probe():
    embedded = []

    def encoder(inputs: torch.Tensor) -> torch.Tensor:
        embedded.append(len(inputs))
        return read_both(inputs)

    found = compare_ways(encoder, of_backgrounds(), masked_data(), ("refit",), options=OPTIONS)
    # Two exchanges of 240 images, two sets of 60 that are held out, and three test sets of 90.
    assert sum(embedded) == 2 * 240 + 2 * 60 + 3 * 90
    for measured in (found.before, found.after["refit"]):
        assert set(measured.tested.tests["mixed-rand"]) == {"classifier"}


def test_without_a_classifier_the_probe_is_what_was_there_before():
    found = compare_ways(read_both, None, masked_data(), ("refit",), options=OPTIONS).before.tested
    assert "classifier" not in found.tests["mixed-rand"]
    assert gap_of(found) == found.background["background_gap"]
    assert recognised(found) == found.tests["mixed-rand"]["linear_probe"]


def test_the_choice_is_made_on_held_out_training_images_and_not_on_test_sets(comparison):
    good, bad = comparison.after["refit"].chosen_by, comparison.before.chosen_by
    # That of the classifier of backgrounds alone, with nothing recognised and nothing left to lose.
    useless = replace(bad, background=good.background)
    tested = comparison.before.tested

    def chosen(before, **after):
        compared = {way: Measured(found, tested) for way, found in after.items()}
        return Comparison(Measured(before, comparison.after["refit"].tested), compared, {})

    assert chosen(good, refit=useless, leace=good, nap=good).cheapest(0.05) == ("leace", True)
    assert chosen(good, refit=bad, nap=useless).cheapest(0.05) == ("refit", False)
    assert chosen(bad, refit=bad, nap=good).cheapest(0.0) == ("nap", True)
