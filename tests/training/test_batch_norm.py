from __future__ import annotations

import pytest
import torch
from torch import nn
from two_processes import run

from unconfound.data import Schema
from unconfound.encoders import build_encoder
from unconfound.functional.distributed import world
from unconfound.training.batch_norm import SynchronizedBatchNorm, synchronize_batch_norm


def _data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 4, 4, generator=generator, dtype=torch.float64) * 3 + 1
    return images, torch.randn(images.shape, generator=generator, dtype=torch.float64)


def _norm(**options):
    norm = nn.BatchNorm2d(3, dtype=torch.float64, **options)
    if norm.affine:
        nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.uniform_(norm.bias, generator=torch.Generator().manual_seed(2))
    return norm


def _normalised(options, steps=3):
    """Outputs, input gradients, summed parameter gradients and running statistics of this process's rows."""
    rank, processes = world()
    images, factors = _data()
    share = slice(rank * 8 // processes, (rank + 1) * 8 // processes)
    holder = nn.Sequential(_norm(**options))
    if processes > 1:
        synchronize_batch_norm(holder, torch.device("cpu"))
        assert isinstance(holder[0], SynchronizedBatchNorm)
    for step in range(steps):
        inputs = (images[share] * (step + 1)).requires_grad_()
        outputs = holder(inputs)
        (outputs * factors[share]).sum().backward()
    gradients = [parameter.grad for parameter in holder.parameters()]
    if processes > 1:
        for gradient in gradients:
            torch.distributed.all_reduce(gradient)
    holder.eval()
    evaluated = holder(images[share]).detach()
    return [outputs.detach(), inputs.grad, evaluated], [*gradients, *holder.buffers()], list(holder.state_dict())


def _gradients_of_a_resnet():
    """What a ResNet-18 returns for this process's rows; of each parameter's summed gradient a part and the length."""
    rank, processes = world()
    torch.manual_seed(0)
    schema = Schema("images", (3, 8, 8), ("a", "b"))
    network = build_encoder("resnet18", schema).double()
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (12, 3, 8, 8), generator=generator).double() / 255
    share = slice(rank * 12 // processes, (rank + 1) * 12 // processes)
    if processes > 1:
        synchronize_batch_norm(network, torch.device("cpu"))
    embeddings = network(images[share])
    factors = torch.randn(12, embeddings.shape[1], generator=generator, dtype=torch.float64)
    (embeddings * factors[share]).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    if processes > 1:
        for gradient in gradients:
            torch.distributed.all_reduce(gradient)
    return embeddings.detach(), [torch.cat([each.flatten()[:50], each.norm()[None]]) for each in gradients]


def test_two_processes_have_the_gradients_of_one_through_a_resnet(tmp_path):
    # In float32 an activation at the edge of a ReLU may fall to either side, which moves these gradients by percents.
    embeddings, gradients = _gradients_of_a_resnet()
    two = run(_gradients_of_a_resnet, tmp_path)
    torch.testing.assert_close(torch.cat([rows for rows, _ in two]), embeddings, rtol=1e-10, atol=1e-10)
    for _, summed in two:
        torch.testing.assert_close(summed, gradients, rtol=1e-10, atol=1e-10)


class Activated(nn.BatchNorm2d):
    """As timm's: what follows the normalisation is part of the layer."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop = nn.Identity()
        self.act = nn.ReLU()

    def forward(self, values):
        return self.act(self.drop(super().forward(values)))


def test_all_batch_norms_are_replaced_in_place_and_keep_their_names():
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), nn.LayerNorm(2))
    weights, names = [network[0].weight, network[1][1].weight], list(network.state_dict())
    synchronize_batch_norm(network, torch.device("cpu"))
    synchronize_batch_norm(network, torch.device("cpu"))  # a second time changes nothing
    assert isinstance(network[0], SynchronizedBatchNorm)
    assert isinstance(network[1][1], SynchronizedBatchNorm)
    assert isinstance(network[2], nn.LayerNorm)
    assert network[0].weight is weights[0]
    assert network[1][1].weight is weights[1]
    assert list(network.state_dict()) == names


def _activated():
    holder = nn.Sequential(Activated(3))
    names = list(holder.state_dict())
    synchronize_batch_norm(holder, torch.device("cpu"))
    assert list(holder.state_dict()) == names
    rank, _ = world()
    trained = holder(_data()[0][rank * 4 : rank * 4 + 4].float()).detach()
    return trained, holder.eval()(_data()[0].float()).detach()


def _everything():
    return [_normalised({}), _normalised({"affine": False, "momentum": None}), _activated()]


def test_two_processes_normalise_as_one_with_the_whole_batch(tmp_path):
    ranks = run(_everything, tmp_path)
    for case, options in enumerate([{}, {"affine": False, "momentum": None}]):
        rows, shared, names = _normalised(options)
        found = [rank[case] for rank in ranks]
        for place, expected in enumerate(rows):
            both = torch.cat([rank[0][place] for rank in found])
            torch.testing.assert_close(both, expected, rtol=0, atol=1e-11)
        for rank in found:
            assert rank[2] == names
            for value, expected in zip(rank[1], shared, strict=True):
                torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-11)

    # The activation that a layer of timm holds is kept.
    layer = Activated(3)
    expected = layer(_data()[0].float()).detach()
    torch.testing.assert_close(torch.cat([rank[2][0] for rank in ranks]), expected)
    torch.testing.assert_close(ranks[0][2][1], layer.eval()(_data()[0].float()).detach())


def test_evaluation_needs_no_group_and_equals_batch_norm():
    norm = _norm()
    norm(_data()[0])
    norm.eval()
    synchronized = SynchronizedBatchNorm(norm)
    assert not synchronized.training
    assert torch.equal(synchronized(_data()[0]), norm(_data()[0]))
    with pytest.raises(ValueError, match="BatchNorm takes"):
        synchronized._check_input_dim(torch.zeros(3))
