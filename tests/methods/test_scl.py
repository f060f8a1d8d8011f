from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import SCL
from unconfound.methods.scl import SCLOptions


def _naive(rows, labels, temperature):
    """L_out pair by pair; an anchor without a positive has the loss 0."""
    rows, total = F.normalize(rows, dim=1), 0
    for anchor, label in enumerate(labels):
        others = [place for place in range(len(rows)) if place != anchor]
        positives = [place for place in others if labels[place] == label]
        scores = {place: rows[anchor] @ rows[place] / temperature for place in others}
        normaliser = torch.stack(list(scores.values())).logsumexp(0)
        for place in positives:
            total = total - (scores[place] - normaliser) / len(positives)
    return total / len(rows)


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 0], [0, 1, 2, 2, 2, 2], [1] * 6])
def test_the_loss_is_cross_entropy_and_the_contrast_of_projections(labels, augment):
    options = SCLOptions(contrast_weight=0.7, temperature=0.3, projection_features=5, augment=augment)
    torch.manual_seed(0)
    method = SCL(convnet(), IMAGES, options).double()
    batch = replace(image_batch(6), labels=torch.tensor(labels))
    batch = replace(batch, inputs=batch.inputs.double() / 255)
    torch.manual_seed(3)
    step = method(batch)
    torch.manual_seed(3)
    views = method.views(batch.inputs) if augment else batch.inputs
    labels = labels * (2 if augment else 1)
    embeddings = method.encoder(views)
    expected = F.cross_entropy(method.linear_classifier()(embeddings), torch.tensor(labels))
    contrast = _naive(method.projection(embeddings), labels, 0.3)
    torch.testing.assert_close(step.loss, expected + 0.7 * contrast)
    torch.testing.assert_close(step.scalars["contrast"], contrast.detach())
    assert float(step.scalars["with_positive"]) == pytest.approx(
        sum(labels.count(each) > 1 for each in labels) / len(labels)
    )


def test_a_batch_without_positives_has_cross_entropy_alone():
    method = SCL(convnet(), IMAGES)
    batch = image_batch(3)
    step = method(batch)
    logits = method.linear_classifier()(method.encoder(batch.inputs))
    torch.testing.assert_close(step.loss, F.cross_entropy(logits, batch.labels))
    assert step.scalars["with_positive"] == 0
    step.loss.backward()
    assert all(parameter.grad.abs().sum() == 0 for parameter in method.projection.parameters())


def test_classes_are_drawn_together():
    torch.manual_seed(0)
    method, batch = SCL(convnet(), IMAGES, SCLOptions(projection_features=8)), image_batch(24)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    contrasts = []
    for _ in range(60):
        step = method(batch)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        contrasts.append(step.scalars["contrast"].item())
    assert contrasts[-1] < 0.8 * contrasts[0]
