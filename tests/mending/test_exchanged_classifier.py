from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.toy import masked_data

from mending.toy import held_out, read_both
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.probe import fit_probe
from unconfound.mending.exchanged import Exchanged, embed_exchanged
from unconfound.mending.exchanged_classifier import exchanged_classifier, linear_layer
from unconfound.options.embedding import EmbeddingOptions


@pytest.fixture(scope="module")
def exchanged():
    return embed_exchanged(
        read_both, masked_data().train, exchanges=2, seed=0, embedding=EmbeddingOptions(device="cpu")
    )


def test_a_classifier_that_is_right_everywhere_leaves_no_image_out(exchanged):
    first = Embeddings(exchanged.others[:, 0], torch.arange(300), exchanged.labels)
    every = Embeddings(exchanged.others.transpose(0, 1).flatten(0, 1), torch.arange(600), exchanged.labels.repeat(2))
    probe = fit_probe(every, strengths=(fit_probe(first).strength,))
    rows = exchanged.others[:, 0] + 0.3
    found = exchanged_classifier(exchanged, held_out(), classes=3, seed=0)(rows)
    torch.testing.assert_close(found, probe.logits(Embeddings(rows, torch.arange(300))).float(), atol=1e-3, rtol=1e-3)


def entangled(samples: int, *, agreeing: float, seed: int) -> tuple[Exchanged, dict[str, Embeddings]]:
    """A foreground that is seen clearly on a background of its own class, and through noise on others."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 2
    same = torch.rand(samples, generator=generator) < agreeing
    donors = torch.where(same, labels, 1 - labels)

    def rows(agree: torch.Tensor) -> torch.Tensor:
        own = (2.0 * labels - 1)[:, None]
        background = torch.where(agree[:, None], own, -own)
        noise = torch.randn(samples, 2, generator=generator)
        return torch.cat([own + 1.2 * noise[:, :1], background + 0.5 * own + noise[:, 1:]], 1)

    sets = {
        name: Embeddings(rows(agree), torch.arange(samples), labels)
        for name, agree in (
            ("mixed-same", torch.ones(samples, dtype=torch.bool)),
            ("mixed-rand", torch.rand(samples, generator=generator) < 0.5),
        )
    }
    return Exchanged(None, rows(same)[:, None], labels, donors[:, None]), sets


def test_agreeing_images_are_left_out_where_backgrounds_of_the_own_class_are_easier():
    fitted, sets = entangled(4000, agreeing=0.7, seed=0)
    _, tests = entangled(4000, agreeing=0.7, seed=1)
    labels = tests["mixed-rand"].labels
    plain = linear_layer(
        fit_probe(Embeddings(fitted.others[:, 0], torch.arange(4000), fitted.labels), strengths=(1e-3,)), classes=2
    )
    found = exchanged_classifier(fitted, sets, classes=2, seed=0)

    def accuracy(linear: torch.nn.Linear, test: str) -> float:
        return (linear(tests[test].features).argmax(1) == labels).float().mean().item()

    assert accuracy(found, "mixed-rand") > accuracy(plain, "mixed-rand") + 0.005
    gaps = [abs(accuracy(linear, "mixed-same") - accuracy(linear, "mixed-rand")) for linear in (plain, found)]
    assert gaps[1] < 0.75 * gaps[0]


def test_nothing_is_left_out_where_that_would_leave_a_class_without_images(exchanged):
    alone = replace(exchanged, donors=exchanged.labels[:, None].expand(-1, 2))
    found = exchanged_classifier(alone, held_out(), classes=3, seed=0)
    assert torch.isfinite(found.weight).all()


def test_a_class_without_images_is_never_the_answer(exchanged):
    found = exchanged_classifier(exchanged, held_out(), classes=5, seed=0)
    assert found.out_features == 5
    answers = found(1e4 * torch.randn(100, 9, generator=torch.Generator().manual_seed(0))).argmax(1)
    assert set(answers.tolist()) <= {0, 1, 2}
