from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders import build_encoder
from unconfound.encoders.gradient_checkpoints import checkpoint_gradients

SCHEMA = Schema("images", (3, 32, 32))


def test_gradients_stay_the_same_and_blocks_are_run_again():
    torch.manual_seed(0)
    encoder = build_encoder("vit_tiny_patch16_224", SCHEMA)
    runs = []
    encoder.network.network.blocks[3].register_forward_pre_hook(lambda *_: runs.append(1))
    images = torch.rand(4, 3, 32, 32)
    gradients = []
    for checkpointed in (False, True):
        if checkpointed:
            checkpoint_gradients(encoder)
        encoder.zero_grad()
        runs.clear()
        encoder(images).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
        assert len(runs) == 1 + checkpointed
    assert all(torch.allclose(first, second, rtol=1e-4, atol=1e-6) for first, second in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    ("name", "why"), [("convnet", "does not offer it"), ("resnet18", "does not offer"), ("resnet10t", "has BatchNorm")]
)
def test_networks_that_cannot_are_refused(name, why):
    with pytest.raises(ValueError, match=rf"not for {name} \(it {why}.*leave --gradient-checkpointing out") as raised:
        checkpoint_gradients(build_encoder(name, SCHEMA))
    assert "\n" not in str(raised.value)
