from __future__ import annotations

import torch
from methods.toy import IMAGES, image_source

from unconfound.encoders import build_encoder
from unconfound.encoders.apply import over_source


def test_samples_pass_in_evaluation_mode_without_gradients_in_the_order_that_was_asked_for():
    torch.manual_seed(0)
    encoder = build_encoder("convnet", IMAGES, width=4, depth=2)
    source = image_source(40)
    # Modules inside may differ in their mode.
    encoder.network.network.blocks[0].eval()
    modes = [module.training for module in encoder.modules()]
    before = [buffer.clone() for buffer in encoder.buffers()]
    positions = torch.tensor([7, 3, 39])
    rows = torch.cat(over_source(encoder, lambda _, inputs: encoder(inputs), source, positions.split(2)))
    assert not rows.requires_grad
    assert [module.training for module in encoder.modules()] == modes
    assert all(torch.equal(*pair) for pair in zip(before, encoder.buffers(), strict=True))
    torch.testing.assert_close(rows, encoder.eval()(source.inputs[positions]))
