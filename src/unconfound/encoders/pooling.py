"""What the encoders of sequences share: their first layer and masked mean pooling."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unconfound.data import Sequences


def first_layer(channels: int, width: int, *, tokens: bool) -> nn.Module:
    """Make a vector of a token of a vocabulary of `channels`, or of the channels of a series at one time."""
    return nn.Embedding(channels, width) if tokens else nn.Linear(channels, width)


def check_sequences(sequences: Sequences, channels: int, *, tokens: bool) -> None:
    """Refuse values that the first layer cannot take.

    Raises:
        ValueError: there is no sequence, tokens for channels or the reverse, or a token beyond the vocabulary.
    """
    values = sequences.values
    if not len(sequences) or not values.shape[1]:
        raise ValueError(f"there is nothing to encode in sequences of shape {tuple(values.shape)}")
    if tokens == values.is_floating_point():
        wanted = "tokens, int [batch, time]" if tokens else f"series, float [batch, time, {channels}]"
        raise ValueError(f"this encoder takes {wanted}, got {values.dtype} of shape {tuple(values.shape)}")
    # On a GPU the look-up itself tells, and asking first would wait for the device.
    if tokens and values.device.type == "cpu" and not 0 <= int(values.min()) <= int(values.max()) < channels:
        raise ValueError(
            f"this encoder's vocabulary has the tokens 0 to {channels - 1}, got {int(values.min())} to "
            f"{int(values.max())}: encode the texts with the vocabulary that it was trained on"
        )


def masked_mean(
    values: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "batch features"]:
    """Average over the times at which the mask is True, of which every sequence has at least one."""
    values = values.to(torch.promote_types(values.dtype, torch.float32)).masked_fill(~mask[..., None], 0)
    return values.sum(1) / mask.sum(1, keepdim=True)
