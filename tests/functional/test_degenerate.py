"""A loss over a batch with nothing to tell apart is 0 where its docstring says so, with no gradient; else it raises."""

from __future__ import annotations

import inspect

import pytest
import torch

from unconfound.functional import pair_losses
from unconfound.functional.contrastive import info_nce, nt_xent, supervised_contrastive
from unconfound.functional.contrastive_invariance import (
    nt_xent_scale_gradient,
    supervised_contrastive_scale_gradient,
    supervised_nt_xent_scale_gradient,
)
from unconfound.functional.interventional import interventional_loss
from unconfound.functional.margin import large_margin_nt_xent
from unconfound.functional.pair_invariance import soft_triplet_scale_gradient, triplet_scale_gradient
from unconfound.functional.relation import relic

APART = torch.arange(4)


@pytest.mark.parametrize("scale", [1.0, 0.0])
@pytest.mark.parametrize(
    "loss",
    [
        lambda rows: nt_xent(rows[:1], rows[1:2]),
        lambda rows: info_nce(rows[:1], rows[1:2]),
        lambda rows: large_margin_nt_xent(rows[:1], rows[1:2], margin=0.2),
        lambda rows: interventional_loss(rows[:1], rows[1:2], torch.ones(2, 3)),
        lambda rows: relic(rows[:1], rows[1:2], rows[:1], rows[1:2]),
        lambda rows: nt_xent_scale_gradient(rows[:1], rows[1:2], temperature=0.5),
        lambda rows: pair_losses.triplet_margin(rows, APART),
        lambda rows: pair_losses.margin_loss(rows, APART),
        lambda rows: pair_losses.supervised_nt_xent(rows, APART, scale=2.0),
        lambda rows: pair_losses.contrastive(rows, APART, margin=0.0),
    ],
)
def test_nothing_to_tell_apart_is_0_with_a_gradient_of_0(loss, scale):
    rows = scale * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    value = loss(rows.requires_grad_())
    assert value == 0
    (gradient,) = torch.autograd.grad(value, rows)
    assert torch.equal(gradient, torch.zeros_like(rows))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rows: supervised_contrastive(rows, APART), "no two of the 4 rows share a label"),
        (
            lambda rows: supervised_contrastive_scale_gradient(rows, APART, temperature=0.5),
            "no two of the 4 rows share a label",
        ),
        (
            lambda rows: supervised_nt_xent_scale_gradient(rows, APART * 0, temperature=0.5),
            "all 4 rows are of one class",
        ),
        (lambda rows: triplet_scale_gradient(rows @ rows.T, APART, margin=0.1), "the 4 rows hold no triplet"),
        (lambda rows: soft_triplet_scale_gradient(rows @ rows.T, APART), "the 4 rows hold no triplet"),
    ],
)
def test_what_can_only_be_a_mistake_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))


def test_each_0_is_stated():
    for function in (nt_xent, info_nce, large_margin_nt_xent, interventional_loss, relic, nt_xent_scale_gradient):
        text = " ".join(inspect.getdoc(function).split())
        assert any(words in text for words in ("loss is 0", "has the loss 0", "g is 0")), function.__name__
    module = " ".join(inspect.getdoc(pair_losses).split())
    assert "A batch without any positive pair has the loss 0" in module
    for name in ("triplet_margin", "margin_loss", "supervised_nt_xent"):
        assert f"`{name}`" in module
