"""What every source yields and every method takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

# None of these is frozen: Lightning Fabric rebuilds the dataclasses that pass through a wrapped module and refuses
# frozen ones.


@dataclass(eq=False)
class Graphs:
    """Some graphs as one: their nodes lie one graph after the other, and no edge joins two graphs.

    Args:
        nodes: features of every node.
        edges: source and target of every directed edge, as rows of `nodes`; an undirected edge is listed both ways.
        sizes: nodes of each graph, at least 1.
    """

    nodes: Float[Tensor, "nodes features"]
    edges: Int[Tensor, "2 edges"]
    sizes: Int[Tensor, " graphs"]

    def __len__(self) -> int:
        return len(self.sizes)

    def graph_of_node(self) -> Int[Tensor, " nodes"]:
        """Return the position of each node's graph among the graphs."""
        graphs = torch.arange(len(self.sizes), device=self.sizes.device)
        return graphs.repeat_interleave(self.sizes, output_size=len(self.nodes))

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Graphs:
        """Return the same graphs on another device."""
        return Graphs(*(each.to(device, non_blocking=non_blocking) for each in (self.nodes, self.edges, self.sizes)))


@dataclass(eq=False)
class Sequences:
    """Some sequences, padded to the length of the longest.

    Args:
        values: tokens of a vocabulary (0 pads), or a series of channels (0 pads).
        lengths: of each sequence, at least 1; what stands behind it is padding and means nothing.
    """

    values: Int[Tensor, "batch time"] | Float[Tensor, "batch time channels"]
    lengths: Int[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.lengths)

    def mask(self) -> Bool[Tensor, "batch time"]:
        """Return True where a sequence is, False where it is padded."""
        time = torch.arange(self.values.shape[1], device=self.values.device)
        return time < self.lengths[:, None]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Sequences:
        """Return the same sequences on another device."""
        return Sequences(*(each.to(device, non_blocking=non_blocking) for each in (self.values, self.lengths)))


@dataclass(eq=False)
class Batch:
    """Some samples of a data set.

    Images are uint8, or float in [0, 1]; rows of a table are float (or uint8, where they are pixels). Samples without a
    label carry the label -1; `labels` is None where the whole data set has none. Masks are 1 on the foreground.
    `second_inputs` are the same samples on other backgrounds, or with another nuisance, for the second views of methods
    that compare two; None where both views are of `inputs`. `local_inputs` are the same samples once more for each
    small crop of a method with multi-crop, [crops x batch, ...]; None where crops are of `inputs` and `second_inputs`.
    """

    inputs: (
        UInt8[Tensor, "batch channels height width"]
        | UInt8[Tensor, "batch columns"]
        | Float[Tensor, "batch *sample"]
        | Graphs
        | Sequences
    )
    index: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"] | None = None
    groups: Int[Tensor, " batch"] | None = None
    masks: Bool[Tensor, "batch 1 height width"] | None = None
    second_inputs: Float[Tensor, "batch *sample"] | Sequences | None = None
    local_inputs: Float[Tensor, "crops channels height width"] | None = None

    def __len__(self) -> int:
        return len(self.inputs)
