from __future__ import annotations

import pytest
import torch
from evaluation.toy import masked_data

from mending.toy import held_out, read_both
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import fit_probe
from unconfound.mending.exchanged import embed_exchanged
from unconfound.mending.remedies import find_remedy
from unconfound.options.embedding import EmbeddingOptions

WAYS = ("refit", "leace", "nap", "whitening")


@pytest.fixture(scope="module")
def exchanged():
    return embed_exchanged(
        read_both, masked_data().train, exchanges=2, seed=0, embedding=EmbeddingOptions(device="cpu")
    )


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_the_foreground(exchanged, way):
    remedy = find_remedy(way, exchanged, held_out(), directions=2, classes=3, seed=0)
    rows = exchanged.others.flatten(0, 1)
    labels = exchanged.labels.repeat_interleave(2)
    assert (remedy.logits(rows).argmax(1) == labels).all()
    assert torch.equal(remedy.logits(rows), remedy.classifier(remedy.of(rows)))
    assert not remedy.classifier.training
    sets = remedy.changed(held_out())
    assert torch.equal(sets["mixed-rand"].features, remedy.of(held_out()["mixed-rand"].features))


@pytest.mark.parametrize("way", ["leace", "nap", "whitening"])
def test_a_map_takes_the_background_out(exchanged, way):
    rows = find_remedy(way, exchanged, held_out(), directions=2, classes=3, seed=0).of(exchanged.others)
    told = Embeddings(rows.flatten(0, 1), torch.arange(600), exchanged.donors.flatten())
    accuracy = (fit_probe(told).predict(told) == told.labels).float().mean()
    assert accuracy < 0.45
