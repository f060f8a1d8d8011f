from __future__ import annotations

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoders.padding import sequences_of
from unconfound.data import Sequences
from unconfound.encoders.pooling import check_sequences, first_layer, in_groups_of_length, masked_mean


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 3), st.sampled_from([0.0, torch.nan]))
def test_the_mean_is_that_of_each_sequence_alone(lengths, more, filling):
    values = torch.randn(len(lengths), max(lengths) + more, 4, dtype=torch.float64)
    mask = Sequences(values, torch.tensor(lengths)).mask()
    values[~mask] = filling
    values.requires_grad_()
    found = masked_mean(values, mask)
    expected = torch.stack([values[row, :length].mean(0) for row, length in enumerate(lengths)])
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), values)
    assert gradient[~mask].eq(0).all()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(gradient[row, :length], torch.full_like(gradient[row, :length], 1 / length))


def test_half_precision_is_averaged_in_single():
    values = torch.full((1, 3000, 1), 1.0, dtype=torch.bfloat16)
    found = masked_mean(values, torch.ones(1, 3000, dtype=torch.bool))
    assert found.dtype == torch.float32
    assert found.item() == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 25), st.sampled_from(["text", "series"]))
def test_groups_change_neither_order_nor_values(lengths, size, modality):
    sequences = sequences_of(modality, lengths)
    seen = []

    def encode(group):
        seen.append((len(group), group.values.shape[1], int(group.lengths.max())))
        return masked_mean(group.values.reshape(*group.values.shape[:2], -1).double(), group.mask())

    found = in_groups_of_length(sequences, encode, size=size)
    whole = encode(sequences)
    seen.pop()
    torch.testing.assert_close(found, whole)
    assert sum(count for count, _, _ in seen) == len(lengths)
    assert all(count <= size and time == longest for count, time, longest in seen)
    assert [longest for _, _, longest in seen] == sorted(longest for _, _, longest in seen)


def test_the_first_layer_reads_tokens_or_channels():
    assert first_layer(9, 4, tokens=True)(torch.tensor([[1, 8]])).shape == (1, 2, 4)
    assert first_layer(9, 4, tokens=False)(torch.randn(1, 2, 9)).shape == (1, 2, 4)


@pytest.fixture
def unchecked_shapes():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


TOKENS = torch.tensor([[1, 2], [3, 0]])


@pytest.mark.parametrize(
    ("values", "lengths", "tokens", "message"),
    [
        (torch.zeros(0, 3, dtype=torch.long), [], True, r"nothing to encode in sequences of shape \(0, 3\)"),
        (torch.zeros(1, 0, dtype=torch.long), [0], True, r"nothing to encode in sequences of shape \(1, 0\)"),
        (TOKENS, [2, 1], False, r"takes series, float \[batch, time, 4\], got torch.int64 of shape \(2, 2\)"),
        (torch.zeros(2, 2, 4), [2, 1], True, r"takes tokens, int \[batch, time\], got torch.float32"),
        (TOKENS, [2, 0], True, "lengths must be 1 to 2, got 0 to 2: leave empty sequences out"),
        (TOKENS, [3, 1], True, "lengths must be 1 to 2, got 1 to 3"),
        (TOKENS + 1, [2, 1], True, "the tokens 0 to 3, got 0 to 4: encode the texts with the vocabulary"),
        (TOKENS - 2, [2, 1], True, "the tokens 0 to 3, got -1 to 1"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_no_encoder_can_take_is_refused(values, lengths, tokens, message):
    with pytest.raises(ValueError, match=message) as raised:
        check_sequences(Sequences(values, torch.tensor(lengths, dtype=torch.long)), 4, tokens=tokens)
    assert "\n" not in str(raised.value)
