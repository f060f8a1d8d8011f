import torch
from torch import nn

from unconfound.methods.parts.frozen_batch_norm import freeze_batch_norms


def test_batch_norm_of_any_dimension_stays_and_the_rest_moves():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Unflatten(1, (3, 1, 1)), nn.BatchNorm2d(3)).double()
    for _ in range(2):
        freeze_batch_norms(network.train())
    before = {name: value.clone() for name, value in network[1].state_dict().items()}
    rows = torch.randn(4, 3, dtype=torch.float64)
    # New layers change nothing but the scale, by the epsilon of each.
    torch.testing.assert_close(network(rows).flatten(1), network[0](rows) / (1 + 1e-5))
    network(rows).square().sum().backward()
    for name, value in network[1].state_dict().items():
        assert torch.equal(value, before[name])
    assert [name for name, value in network.named_parameters() if value.requires_grad] == ["0.weight", "0.bias"]
    assert network[0].training
    assert network[0].weight.grad.abs().max() > 0
