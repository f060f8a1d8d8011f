from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, ROWS, convnet, image_batch, mlp
from unconfound.functional.contrastive import nt_xent
from unconfound.methods import SimCLRDACL
from unconfound.methods.simclr_dacl import SimCLRDACLOptions


def test_the_loss_is_the_sum_of_both_on_one_encoder_and_one_head():
    method = SimCLRDACL(convnet(), IMAGES, SimCLRDACLOptions(temperature=0.2))
    batch = image_batch()
    torch.manual_seed(11)
    step = method(batch)
    torch.manual_seed(11)
    losses = [
        nt_xent(*method.head(method.encoder(views)).chunk(2), temperature=0.2)
        for views in (method.augmented(batch.inputs), method.mixed(batch.inputs / 255))
    ]
    torch.testing.assert_close(step.loss, sum(losses))
    torch.testing.assert_close(step.scalars["simclr_loss"], losses[0].detach())
    torch.testing.assert_close(step.scalars["dacl_loss"], losses[1].detach())
    step.loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_the_options_of_both_reach_both_views():
    options = SimCLRDACLOptions(functions=("binary",), keep=0.5, flip_probability=0.0, projection_layers=1)
    method = SimCLRDACL(convnet(), IMAGES, options)
    assert method.mixed.options.keep == 0.5
    assert method.augmented.options.flip_probability == 0.0
    assert len(method.head) == 2


def test_tables_and_a_batch_of_one_are_refused():
    with pytest.raises(ValueError, match="its views by image augmentation, the data are tables: train dacl"):
        SimCLRDACL(mlp(), ROWS)
    with pytest.raises(ValueError, match="this batch holds one: use at least two"):
        SimCLRDACL(convnet(), IMAGES)(image_batch(1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"linear_low": 2}, r"linear_low must be in \[0, 1\], got 2"),
    ],
)
def test_options_of_either_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        SimCLRDACLOptions(**wrong)
