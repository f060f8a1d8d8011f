"""What the encoders of sequences share: their first layer, masked mean pooling, and how padding is saved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unconfound.data import Sequences
from unconfound.functional.inputs import wide

# Sequences a group: smaller groups hold less padding, larger ones keep a processor busier.
GROUP = 32


def first_layer(channels: int, width: int, *, tokens: bool) -> nn.Module:
    """Make a vector of a token of a vocabulary of `channels`, or of the channels of a series at one time."""
    return nn.Embedding(channels, width) if tokens else nn.Linear(channels, width)


def check_sequences(sequences: Sequences, channels: int, *, tokens: bool) -> None:
    """Refuse values that the first layer cannot take. Padding may hold anything.

    Raises:
        ValueError: there is no sequence, a length of 0 or beyond the values, tokens for channels or the reverse, or a
            token beyond the vocabulary.
    """
    values, lengths = sequences.values, sequences.lengths
    if not len(sequences) or not values.shape[1]:
        raise ValueError(f"there is nothing to encode in sequences of shape {tuple(values.shape)}")
    if tokens == values.is_floating_point():
        wanted = "tokens, int [batch, time]" if tokens else f"series, float [batch, time, {channels}]"
        raise ValueError(f"this encoder takes {wanted}, got {values.dtype} of shape {tuple(values.shape)}")
    # On a GPU, asking would wait for the device; a token beyond the vocabulary is told there by the look-up itself.
    if values.device.type != "cpu":
        return
    if not 1 <= int(lengths.min()) <= int(lengths.max()) <= values.shape[1]:
        raise ValueError(
            f"lengths must be 1 to {values.shape[1]}, got {int(lengths.min())} to {int(lengths.max())}: "
            "leave empty sequences out"
        )
    if not tokens:
        return
    real = values.masked_fill(~sequences.mask(), 0)
    if not 0 <= int(real.min()) <= int(real.max()) < channels:
        raise ValueError(
            f"this encoder's vocabulary has the tokens 0 to {channels - 1}, got {int(real.min())} to "
            f"{int(real.max())}: encode the texts with the vocabulary that it was trained on"
        )


def in_groups_of_length(
    sequences: Sequences, encode: Callable[[Sequences], Tensor], *, size: int = GROUP
) -> Float[Tensor, "batch features"]:
    """Encode sequences of similar length together, each group padded to its own longest only.

    Of a batch of AG News, padded as a whole, two thirds are padding. For networks that treat each sequence alone.

    Args:
        sequences: at least one.
        encode: gives [some, features].
        size: sequences a group.
    """
    order = sequences.lengths.argsort()
    groups = []
    for rows in order.split(size):
        lengths = sequences.lengths[rows]
        groups.append(encode(Sequences(sequences.values[rows, : int(lengths[-1])], lengths)))
    return torch.cat(groups)[order.argsort()]


def masked_mean(
    values: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "batch features"]:
    """Average over the times at which the mask is True, of which every sequence has at least one."""
    values = wide(values).masked_fill(~mask[..., None], 0)
    return values.sum(1) / mask.sum(1, keepdim=True)
