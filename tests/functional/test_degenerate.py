"""A loss over a batch with nothing to tell apart is 0 where its docstring says so, with no gradient; else it raises."""

from __future__ import annotations

import inspect

import pytest
import torch

from unconfound.functional.contrastive import info_nce, nt_xent, supervised_contrastive
from unconfound.functional.interventional import interventional_loss
from unconfound.functional.margin import large_margin_nt_xent
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
    ],
)
def test_nothing_to_tell_apart_is_0_with_a_gradient_of_0(loss, scale):
    rows = scale * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    value = loss(rows.requires_grad_())
    assert value == 0
    (gradient,) = torch.autograd.grad(value, rows)
    assert torch.equal(gradient, torch.zeros_like(rows))


def test_what_can_only_be_a_mistake_is_refused():
    with pytest.raises(ValueError, match="no two of the 4 rows share a label"):
        supervised_contrastive(torch.randn(4, 3), APART)


def test_each_0_is_stated():
    for function in (nt_xent, info_nce, large_margin_nt_xent, interventional_loss, relic):
        text = " ".join(inspect.getdoc(function).split())
        assert any(words in text for words in ("loss is 0", "has the loss 0")), function.__name__
