from __future__ import annotations

from typing import get_args

import pytest
import torch
from evaluation.toy import masked_data

from mending.toy import read_both
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import fit_probe
from unconfound.mending.exchanged import embed_exchanged
from unconfound.mending.remedies import Way, find_remedy
from unconfound.options.embedding import EmbeddingOptions


@pytest.fixture(scope="module")
def exchanged():
    return embed_exchanged(
        read_both, masked_data().train, exchanges=2, seed=0, embedding=EmbeddingOptions(device="cpu")
    )


@pytest.mark.parametrize("way", get_args(Way))
def test_every_way_finds_the_foreground(exchanged, way):
    remedy = find_remedy(way, exchanged, directions=2, classes=3, seed=0)
    rows = remedy.of(exchanged.others)
    assert (remedy.classifier(rows).argmax(2) == exchanged.labels[:, None]).all()
    assert not remedy.classifier.training


@pytest.mark.parametrize("way", ["leace", "nap", "whitening"])
def test_a_map_takes_the_background_out(exchanged, way):
    rows = find_remedy(way, exchanged, directions=2, classes=3, seed=0).of(exchanged.others)
    told = Embeddings(rows.flatten(0, 1), torch.arange(600), exchanged.donors.flatten())
    accuracy = (fit_probe(told).predict(told) == told.labels).float().mean()
    assert accuracy < 0.45


def test_the_classifier_of_refit_is_the_probe_of_exchanged_images(exchanged):
    remedy = find_remedy("refit", exchanged, directions=1, classes=3, seed=0)
    assert remedy.change is None
    first = Embeddings(exchanged.others[:, 0], torch.arange(300), exchanged.labels)
    every = Embeddings(exchanged.others.transpose(0, 1).flatten(0, 1), torch.arange(600), exchanged.labels.repeat(2))
    probe = fit_probe(every, strengths=(fit_probe(first).strength,))
    rows = Embeddings(exchanged.own + 0.3, torch.arange(300))
    found, wanted = remedy.classifier(rows.features), probe.logits(rows)
    torch.testing.assert_close(found.softmax(1).double(), wanted.softmax(1), atol=1e-3, rtol=0)


def test_a_class_without_images_is_never_the_answer(exchanged):
    remedy = find_remedy("refit", exchanged, directions=1, classes=5, seed=0)
    assert remedy.classifier.out_features == 5
    answers = remedy.classifier(1e4 * torch.randn(100, 9, generator=torch.Generator().manual_seed(0))).argmax(1)
    assert set(answers.tolist()) <= {0, 1, 2}
