from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import LargeMargin, SimCLR
from unconfound.methods.large_margin import LargeMarginOptions
from unconfound.methods.simclr import SimCLROptions


def _step(kind, options):
    torch.manual_seed(0)
    method = kind(convnet(), IMAGES, options)
    torch.manual_seed(3)
    step = method(image_batch(7))
    step.loss.backward()
    return step.loss.detach(), [parameter.grad for parameter in method.parameters()]


def test_without_a_margin_it_is_simclr():
    shared = {"temperature": 0.2, "projection_features": 5, "projection_layers": 3}
    torch.testing.assert_close(
        _step(LargeMargin, LargeMarginOptions(margin=0.0, **shared)), _step(SimCLR, SimCLROptions(**shared))
    )


@pytest.mark.parametrize("margin", [0.1, 0.5])
def test_the_margin_is_taken_off_the_cosine_of_positives(margin):
    options = LargeMarginOptions(margin=margin, temperature=0.3, projection_features=5)
    method = LargeMargin(convnet(), IMAGES, options)
    views = method.two_views(image_batch(7))
    compared = method.compare(views)
    rows = torch.nn.functional.normalize(compared.projections.detach().double(), dim=1)
    losses = []
    for i, row in enumerate(rows):
        pair = (i + 7) % 14
        logits = [float(row @ other) / 0.3 for other in rows]
        logits[pair] -= margin / 0.3
        others = torch.tensor([logit for k, logit in enumerate(logits) if k != i]).double()
        losses.append(float(others.logsumexp(0)) - logits[pair])
    assert compared.loss.item() == pytest.approx(sum(losses) / 14, rel=1e-5)
