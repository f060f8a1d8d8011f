from __future__ import annotations

import pytest
import torch

from encoders.padding import CASES, encoder_for, padded_with, sequences_of
from unconfound.data import Sequences
from unconfound.encoders.gru import GRU


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("by", [0, 1, 40])
@pytest.mark.parametrize(("modality", "filling"), CASES)
def test_padding_never_changes_an_embedding(modality, filling, by, training):
    encoder = encoder_for("gru", modality).train(training)
    sequences = sequences_of(modality)
    expected = encoder(sequences)
    assert expected.isfinite().all()
    found = encoder(padded_with(sequences, filling, by=by))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("modality", ["text", "series"])
def test_padding_changes_no_gradient(modality):
    gradients = []
    for filling, by in ((0, 0), (5, 11)):
        encoder = encoder_for("gru", modality)
        encoder(padded_with(sequences_of(modality), filling, by=by)).square().sum().backward()
        gradients.append({name: each.grad for name, each in encoder.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def naive(network: GRU, values):
    """One sequence without padding, step by step and both ways."""
    state = network.first(values)
    for layer in range(network.recurrent.num_layers):
        both = []
        for suffix, steps in (("", range(len(state))), ("_reverse", range(len(state) - 1, -1, -1))):
            from_input, from_state, input_bias, state_bias = (
                getattr(network.recurrent, f"{kind}_l{layer}{suffix}")
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            hidden = state.new_zeros(network.features // 2)
            outputs = [hidden] * len(state)
            for step in steps:
                ours = (from_input @ state[step] + input_bias).chunk(3)
                theirs = (from_state @ hidden + state_bias).chunk(3)
                reset, update = (torch.sigmoid(ours[gate] + theirs[gate]) for gate in (0, 1))
                candidate = torch.tanh(ours[2] + reset * theirs[2])
                hidden = (1 - update) * candidate + update * hidden
                outputs[step] = hidden
            both.append(torch.stack(outputs))
        state = torch.cat(both, 1)
    return state.mean(0)


@pytest.mark.parametrize("tokens", [True, False])
def test_the_embedding_is_that_of_the_equations(tokens):
    torch.manual_seed(0)
    network = GRU(5, tokens=tokens, width=8, depth=2).double()
    values = torch.randint(0, 5, (3, 6)) if tokens else torch.randn(3, 6, 5, dtype=torch.float64)
    lengths = torch.tensor([4, 6, 1])
    found = network(Sequences(values, lengths))
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row], naive(network, values[row, :length]))


def test_sizes():
    assert GRU(9, tokens=False).features == 128
    assert GRU(9, tokens=True, width=6, depth=3).recurrent.num_layers == 3
    with pytest.raises(ValueError, match="the width of a gru must be even, as it reads both ways, got 7"):
        GRU(9, tokens=True, width=7)
    with pytest.raises(ValueError, match="lengths must be 1 to 2, got 0 to 0"):
        encoder_for("gru", "text")(Sequences(torch.tensor([[1, 2]]), torch.tensor([0])))
