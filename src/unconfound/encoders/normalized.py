"""Raw samples, normalised by the statistics of the training data, into a network."""

from __future__ import annotations

from typing import TypeAlias, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.data import Graphs, Sequences
from unconfound.functional.inputs import unit_range

Images: TypeAlias = UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"]


@final
class Normalized(nn.Module):
    """A network that takes raw samples: uint8 becomes [0, 1], and values are normalised.

    Args:
        network: has `.features` and takes normalised float samples.
        mean, deviation: [channels] of images in [0, 1] or of series, [columns] of rows, [features] of nodes; empty for
            text.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: nn.Module, *, mean: Float[Tensor, " channels"], deviation: Float[Tensor, " channels"]
    ) -> None:
        super().__init__()
        self.network = network
        self.features = int(network.features)  # type: ignore[arg-type]
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, inputs: Tensor | Graphs | Sequences) -> Float[Tensor, "batch features"]:
        embeddings: Tensor = self.network(self.normalize(inputs))
        return embeddings

    def normalize(self, inputs: Tensor | Graphs | Sequences) -> Tensor | Graphs | Sequences:
        """Turn raw samples into what the network takes; tokens stay as they are.

        Raises:
            ValueError: the channels or columns are not those of the statistics.
        """
        if isinstance(inputs, Graphs):
            return Graphs(self._scale(inputs.nodes, axis=1, what="node features"), inputs.edges, inputs.sizes)
        if isinstance(inputs, Sequences):
            if not inputs.values.is_floating_point():
                return inputs
            values = self._scale(inputs.values, axis=2, what="channels")
            return Sequences(values.masked_fill(~inputs.mask()[..., None], 0), inputs.lengths)
        values = unit_range(inputs)
        values = self._scale(values, axis=1, what="channels" if inputs.dim() == 4 else "columns")
        return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values

    def _scale(self, values: Tensor, *, axis: int, what: str) -> Tensor:
        if values.shape[axis] != len(self.mean):
            raise ValueError(f"this encoder takes {len(self.mean)} {what}, got samples of {values.shape[axis]}")
        shape = [-1 if place == axis else 1 for place in range(values.dim())]
        return (values - self.mean.view(shape)) / self.deviation.view(shape)
