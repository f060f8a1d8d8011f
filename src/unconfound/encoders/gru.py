"""A gated recurrent network, for text and series."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unconfound.data import Sequences
from unconfound.encoders.pooling import check_sequences, first_layer, masked_mean


class GRU(nn.Module):
    """A GRU of `depth` layers that reads both ways, averaged over the times that are no padding.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (EMNLP 2014). Padding never changes an
    embedding: it is not read.

    Args:
        channels: tokens of the vocabulary, or channels of a series.
        tokens: text, not series.
        width: of the embedding; half of it reads forwards, half backwards, so it is even.
        depth: number of layers.

    Raises:
        ValueError: the width is odd.
    """

    def __init__(self, channels: int, *, tokens: bool, width: int = 128, depth: int = 1) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"the width of a gru must be even, as it reads both ways, got {width}")
        self.features = width
        self.channels, self.tokens = channels, tokens
        self.first = first_layer(channels, width, tokens=tokens)
        self.recurrent = nn.GRU(width, width // 2, depth, batch_first=True, bidirectional=True)

    def forward(self, sequences: Sequences) -> Float[Tensor, "batch features"]:
        check_sequences(sequences, self.channels, tokens=self.tokens)
        packed = pack_padded_sequence(sequences.values, sequences.lengths.cpu(), batch_first=True, enforce_sorted=False)
        values = PackedSequence(self.first(packed.data), *packed[1:])
        time = sequences.values.shape[1]
        states, _ = pad_packed_sequence(self.recurrent(values)[0], batch_first=True, total_length=time)
        return masked_mean(states, sequences.mask())
