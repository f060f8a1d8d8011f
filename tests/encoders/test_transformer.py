from __future__ import annotations

import math

import pytest
import torch

from encoders.padding import CASES, encoder_for, padded_with, sequences_of
from unconfound.data import Sequences
from unconfound.encoders.transformer import Transformer, positions


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("by", [0, 1, 40])
@pytest.mark.parametrize(("modality", "filling"), CASES)
def test_padding_never_changes_an_embedding(modality, filling, by, training):
    encoder = encoder_for("transformer", modality).train(training)
    sequences = sequences_of(modality)
    longer = padded_with(sequences, filling, by=by)
    expected = encoder(sequences)
    assert expected.isfinite().all()
    torch.testing.assert_close(encoder(longer), expected, rtol=0, atol=2e-6)
    # As a GPU does it: all sequences at once, however far they are padded.
    normalized = encoder.network.normalize(longer)
    torch.testing.assert_close(encoder.network.network._encode(normalized), expected, rtol=0, atol=2e-6)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(longer), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("modality", ["text", "series"])
def test_a_sequence_is_embedded_as_if_it_were_alone(modality):
    encoder = encoder_for("transformer", modality)
    lengths = [1 + place % 7 for place in range(70)]  # several groups
    sequences = sequences_of(modality, lengths)
    together = encoder(sequences)
    for row in (0, 3, 33, 69):
        alone = Sequences(sequences.values[row : row + 1, : lengths[row]], sequences.lengths[row : row + 1])
        torch.testing.assert_close(together[row], encoder(alone)[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("modality", ["text", "series"])
def test_padding_gets_no_gradient_and_changes_none(modality):
    gradients = []
    for filling, by in ((0, 0), (5, 11)):
        encoder = encoder_for("transformer", modality)
        encoder(padded_with(sequences_of(modality), filling, by=by)).square().sum().backward()
        gradients.append({name: each.grad for name, each in encoder.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)
    if modality == "series":
        sequences = sequences_of(modality)
        sequences.values.requires_grad_()
        encoder(sequences).sum().backward()
        assert sequences.values.grad[~sequences.mask()].eq(0).all()
        assert sequences.values.grad[sequences.mask()].ne(0).any(1).all()


def naive(network: Transformer, values):
    """One sequence without padding, by the equations of pre-norm self-attention, in float64."""
    time, width = len(values), network.features
    state = network.first(values)
    for step in range(time):
        for pair in range(width // 2):
            angle = step / 10_000 ** (2 * pair / width)
            state = state.clone()
            state[step, pair] += math.sin(angle)
            state[step, width // 2 + pair] += math.cos(angle)
    for layer in network.layers:
        normal = layer.norm1(state)
        joined = normal @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias
        query, key, value = joined.chunk(3, 1)
        heads = []
        for part in torch.arange(width).chunk(4):
            scores = query[:, part] @ key[:, part].T / math.sqrt(width // 4)
            heads.append(scores.softmax(1) @ value[:, part])
        state = state + layer.self_attn.out_proj(torch.cat(heads, 1))
        state = state + layer.linear2(torch.nn.functional.gelu(layer.linear1(layer.norm2(state))))
    return network.norm(state).mean(0)


@pytest.mark.parametrize("tokens", [True, False])
def test_the_embedding_is_that_of_the_equations(tokens):
    torch.manual_seed(0)
    network = Transformer(5, tokens=tokens, width=16, depth=2).double()
    values = torch.randint(0, 5, (2, 6)) if tokens else torch.randn(2, 6, 5, dtype=torch.float64)
    lengths = torch.tensor([4, 6])
    for mode in (True, False):
        found = network.train(mode)(Sequences(values, lengths))
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(found[row], naive(network, values[row, :length]), rtol=1e-6, atol=1e-6)


def test_the_order_of_tokens_matters():
    encoder = encoder_for("transformer", "text")
    forwards, backwards = (Sequences(torch.tensor([row]), torch.tensor([3])) for row in ([4, 5, 6], [6, 5, 4]))
    assert not torch.allclose(encoder(forwards), encoder(backwards), atol=1e-3)


def test_positions_are_sines_and_cosines():
    found = positions(7, 6, device=torch.device("cpu"))
    for time in range(7):
        for pair in range(3):
            angle = time / 10_000 ** (2 * pair / 6)
            assert found[time, pair].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[time, 3 + pair].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_sizes():
    assert Transformer(9, tokens=True).features == 128
    assert len(Transformer(9, tokens=True, width=8, depth=3).layers) == 3
    with pytest.raises(ValueError, match="the width of a transformer must be a multiple of 8, got 12"):
        Transformer(9, tokens=True, width=12)
    with pytest.raises(ValueError, match="vocabulary has the tokens 0 to 29, got 1 to 30: encode the texts with"):
        encoder_for("transformer", "text")(Sequences(torch.tensor([[1, 30]]), torch.tensor([2])))
