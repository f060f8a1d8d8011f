from __future__ import annotations

import math

import pytest
import torch

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp, row_batch
from unconfound.methods import Supervised
from unconfound.methods.supervised import SupervisedOptions


def _cross_entropy(logits, labels, smoothing):
    """The mean of -sum(target x log softmax), in Python's floats."""
    total = 0.0
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for place, value in enumerate(row):
            target = smoothing / len(row) + (1 - smoothing) * (place == label)
            total -= target * (value - normaliser)
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("encoder", "schema", "batch"), [(convnet, IMAGES, image_batch), (mlp, ROWS, row_batch)])
def test_the_loss_is_cross_entropy(encoder, schema, batch, smoothing):
    method = Supervised(encoder(), schema, SupervisedOptions(label_smoothing=smoothing))
    batch = batch(9)
    step = method(batch)
    embeddings = method.encoder(batch.inputs)
    logits = method.linear_classifier()(embeddings)
    assert step.loss.item() == pytest.approx(_cross_entropy(logits, batch.labels, smoothing), rel=1e-5)
    assert step.scalars["accuracy"].item() == pytest.approx((logits.argmax(1) == batch.labels).float().mean().item())
    torch.testing.assert_close(step.embeddings, embeddings.detach())
    assert not step.embeddings.requires_grad
    assert not step.scalars["accuracy"].requires_grad


def test_augmented_views_carry_the_labels_of_their_images():
    method = Supervised(convnet(), IMAGES, SupervisedOptions(augment=True))
    batch = image_batch(6)
    torch.manual_seed(4)
    step = method(batch)
    torch.manual_seed(4)
    logits = method.linear_classifier()(method.encoder(method.views(batch.inputs)))
    assert len(logits) == 12
    assert step.loss.item() == pytest.approx(_cross_entropy(logits, batch.labels.repeat(2), 0.0), rel=1e-5)


def test_everything_is_learnt_in_one_phase():
    method = Supervised(convnet(), IMAGES)
    (phase,) = method.phases()
    assert set(phase.parameters) == set(method.parameters())
    method(image_batch(), phase.name).loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.head.parameters())


def test_one_sample_is_learnt_from_where_its_statistics_exist_and_refused_elsewhere():
    step = Supervised(convnet(), IMAGES)(image_batch(1))  # an image has many pixels
    assert step.loss.item() > 0
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        Supervised(mlp(), ROWS)(row_batch(1))
