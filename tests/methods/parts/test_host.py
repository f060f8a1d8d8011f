from __future__ import annotations

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import METHODS
from unconfound.methods.parts.host import Host

HOSTS = [name for name, kind in METHODS.items() if hasattr(kind, "compare")]


@pytest.fixture(params=HOSTS)
def host(request):
    torch.manual_seed(0)
    return METHODS[request.param](convnet(), IMAGES)


def test_forward_compares_two_views(host):
    assert isinstance(host, Host)
    state = {key: value.clone() for key, value in host.state_dict().items()}
    torch.manual_seed(3)
    step = host(image_batch(8))
    host.load_state_dict(state)
    torch.manual_seed(3)
    views = host.two_views(image_batch(8))
    assert len(views) == 16
    compared = host.compare(views)
    torch.testing.assert_close(compared.loss, step.loss)
    # Alone, some need one view's embeddings only.
    torch.testing.assert_close(compared.embeddings[: len(step.embeddings)].detach().float(), step.embeddings)
    assert compared.projections.shape[0] == compared.embeddings.shape[0] == 16


def test_projections_and_embeddings_carry_gradients_to_the_encoder(host):
    for part in ("projections", "embeddings"):
        compared = host.compare(host.two_views(image_batch(8)))
        host.zero_grad()
        (getattr(compared, part) * torch.randn(getattr(compared, part).shape)).sum().backward()
        assert any(parameter.grad is not None and parameter.grad.any() for parameter in host.encoder.parameters())


def test_comparing_draws_no_random_numbers_and_moves_no_weights(host):
    views = host.two_views(image_batch(8))
    before = torch.random.get_rng_state()
    weights = [parameter.clone() for parameter in host.parameters()]
    host.compare(views)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(old, new) for old, new in zip(weights, host.parameters(), strict=True))


def test_all_that_is_learnt_moves_in_one_phase_and_targets_do_not(host):
    (phase,) = host.phases()
    host(image_batch(8), phase.name).loss.backward()
    assert all(parameter.requires_grad for parameter in phase.parameters)
    assert {parameter for parameter in host.parameters() if parameter.grad is not None} == set(phase.parameters)
