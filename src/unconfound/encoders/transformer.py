"""A small transformer, for text and series."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Sequences
from unconfound.encoders.pooling import check_sequences, first_layer, in_groups_of_length, masked_mean


class Transformer(nn.Module):
    """`depth` pre-norm layers of self-attention, averaged over the times that are no padding.

    Vaswani et al., "Attention Is All You Need" (NeurIPS 2017), with its sinusoidal positions, so that no length is too
    long. Padding never changes an embedding, whatever it holds.

    Args:
        channels: tokens of the vocabulary, or channels of a series.
        tokens: text, not series.
        width: of the embedding and of every layer; a multiple of 8.
        depth: number of layers.

    Raises:
        ValueError: the width is no multiple of 8.
    """

    def __init__(self, channels: int, *, tokens: bool, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        if width % 8:
            raise ValueError(f"the width of a transformer must be a multiple of 8, got {width}")
        self.features = width
        self.channels, self.tokens = channels, tokens
        self.first = first_layer(channels, width, tokens=tokens)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                nhead=4,
                dim_feedforward=4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, sequences: Sequences) -> Float[Tensor, "batch features"]:
        check_sequences(sequences, self.channels, tokens=self.tokens)
        if sequences.values.device.type == "cpu":
            return in_groups_of_length(sequences, self._encode)
        # Groups would cost a GPU more in waiting for the lengths, and in small kernels, than padding does.
        return self._encode(sequences)

    def _encode(self, sequences: Sequences) -> Float[Tensor, "batch features"]:
        padding = ~sequences.mask()
        # NaN in the padding would get through the attention, whose weight for it is 0.
        hidden = padding if self.tokens else padding[..., None]
        values = self.first(sequences.values.masked_fill(hidden, 0))
        values = values + positions(values.shape[1], self.features, device=values.device).to(values.dtype)
        for layer in self.layers:
            values = layer(values, src_key_padding_mask=padding)
        return masked_mean(self.norm(values), ~padding)


def positions(time: int, width: int, *, device: torch.device) -> Float[Tensor, "time width"]:
    """Return the sines and cosines of Vaswani et al., section 3.5: sin(t / 10000^(2i / width)), then the cosines."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-torch.log(torch.tensor(10_000.0)) / width))
    angles = torch.arange(time, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
