from __future__ import annotations

import pytest
import torch

from methods.toy import MODALITIES, ROWS, mlp, rows_batch
from unconfound.functional.contrastive import nt_xent
from unconfound.methods import Gaussian
from unconfound.methods.gaussian import GaussianOptions


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("modality", MODALITIES)
def test_the_loss_is_nt_xent_of_the_projections_of_two_noisy_views(modality, matched):
    encoder, schema, batch = MODALITIES[modality]
    method = Gaussian(encoder(), schema, GaussianOptions(matched=matched, temperature=0.3))
    batch = batch()
    torch.manual_seed(11)
    step = method(batch)
    torch.manual_seed(11)
    if modality in ("images", "tables"):
        inputs = batch.inputs / 255 if modality == "images" else batch.inputs
        projections = method.head(method.encoder(method.views(inputs)))
    else:
        projections = method.head(method.views(method.encoder(batch.inputs)))
    torch.testing.assert_close(step.loss, nt_xent(*projections.chunk(2), temperature=0.3))
    step.loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_without_noise_to_speak_of_the_views_are_the_sample():
    method = Gaussian(mlp(), ROWS, GaussianOptions(sigma=1e-9))
    batch = rows_batch()
    torch.testing.assert_close(method.views(batch.inputs), batch.inputs.repeat(2, 1))


def test_a_batch_of_one_is_refused():
    # Two rows, the views of one sample, pass BatchNorm.
    with pytest.raises(ValueError, match="gaussian tells the samples of a batch apart, and this batch holds one"):
        Gaussian(mlp(), ROWS)(rows_batch(1))
