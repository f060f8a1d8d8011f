from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.toy import masked_data

from mending.toy import of_backgrounds, read_both
from unconfound.data import MemorySource, Schema
from unconfound.evaluation import Judging, evaluate
from unconfound.mending.mend import (
    Comparison,
    MendingOptions,
    compare_ways,
    exchangeable,
    gap_of,
    recognised,
)
from unconfound.options.embedding import EmbeddingOptions

OPTIONS = MendingOptions(exchanges=2, directions=3, embedding=EmbeddingOptions(device="cpu"))
WAYS = ("refit", "leace", "nap", "whitening")


@pytest.fixture(scope="module")
def comparison():
    return compare_ways(read_both, of_backgrounds(), masked_data(), WAYS, options=OPTIONS)


def test_every_way_closes_the_gap_that_was_there_before(comparison):
    assert gap_of(comparison.before).value == 1
    assert recognised(comparison.before).value == 0
    for way in WAYS:
        assert gap_of(comparison.after[way]).value == 0, way
        assert recognised(comparison.after[way]).value == 1, way
    assert comparison.cheapest(0.05) == ("refit", True)


@pytest.mark.parametrize("way", ["before", *WAYS])
def test_figures_are_those_of_an_evaluation(comparison, way):
    """What a map does to embeddings here, an evaluation of the mapped encoder finds."""
    remedy = comparison.remedies.get(way)
    encoder = read_both if remedy is None else lambda inputs: remedy.of(read_both(inputs))
    classifier = of_backgrounds() if remedy is None else remedy.classifier
    judged = evaluate(encoder, masked_data(), name=way, classifier=classifier, judging=Judging(device="cpu"))
    found = comparison.before if remedy is None else comparison.after[way]
    for test, figures in found.tests.items():
        for metric, figure in figures.items():
            assert judged.evaluation.tests[test][metric] == figure
    for metric, figure in found.background.items():
        assert judged.evaluation.background[metric] == figure


def test_without_a_classifier_the_probe_is_what_was_there_before():
    found = compare_ways(read_both, None, masked_data(), ("refit",), options=OPTIONS)
    assert "classifier" not in found.before.tests["mixed-rand"]
    assert gap_of(found.before) == found.before.background["background_gap"]
    assert recognised(found.before) == found.before.tests["mixed-rand"]["linear_probe"]


def test_a_way_that_recognises_less_than_before_is_no_remedy(comparison):
    good, bad = comparison.after["refit"], comparison.before
    # That of the classifier of backgrounds alone, with nothing recognised and nothing left to lose.
    useless = replace(bad, background=good.background)
    after = {"refit": useless, "leace": good, "nap": good}
    assert Comparison(good, after, comparison.remedies).cheapest(0.05) == ("leace", True)
    assert Comparison(good, {"refit": bad, "nap": useless}, comparison.remedies).cheapest(0.05) == ("refit", False)
    assert Comparison(bad, {"refit": bad, "nap": good}, comparison.remedies).cheapest(0.0) == ("nap", True)


def _of_rows(dataset):
    source = MemorySource("rows", Schema("tables", (2,), ("a", "b")), torch.zeros(4, 2), torch.zeros(4).long())
    return replace(dataset, train=source, labelled=source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_of_rows, "rows holds tables: mend exchanges the backgrounds of images"),
        (lambda data: replace(data, labelled=None), "train has no labels"),
        (lambda data: replace(data, labelled=replace(data.train, masks=None)), "no masks in memory.*give --masks"),
        (lambda data: replace(data, tests={"test": data.train}), "no test sets with exchanged backgrounds"),
        (
            lambda data: replace(
                data,
                tests={"test": data.train},
                train=replace(data.train, notes=("no backgrounds are swapped: one image",)),
            ),
            r"no test sets with exchanged backgrounds \(no backgrounds are swapped: one image\)",
        ),
        (
            lambda data: replace(data, train=replace(data.train, schema=Schema("images", (3, 8, 8), ("other",)))),
            "of classes that are not trained on",
        ),
    ],
)
def test_data_on_which_nothing_can_be_exchanged_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        exchangeable(change(masked_data()))


def test_one_class_is_refused():
    dataset = masked_data()
    train = replace(dataset.train, labels=torch.zeros(300).long())
    with pytest.raises(ValueError, match="two or more classes"):
        compare_ways(read_both, None, replace(dataset, labelled=train), ("refit",), options=OPTIONS)
