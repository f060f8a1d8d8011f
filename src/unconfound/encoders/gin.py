"""The graph isomorphism network, for graphs."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Graphs


class GIN(nn.Module):
    """`depth` layers, each a sum over neighbours and a small network; the embedding sums each layer over the nodes.

    InfoGraph's encoder, which DACL's graph experiments use: a = x_u + the sum of x over the neighbours of u;
    x_u <- BatchNorm(ReLU(Linear(ReLU(Linear(a))))). Layers are concatenated.

    Args:
        columns: features of a node.
        width: of every layer.
        depth: number of layers; the embedding has width x depth features.
    """

    def __init__(self, columns: int, *, width: int = 512, depth: int = 4) -> None:
        super().__init__()
        self.features = width * depth
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after), nn.ReLU())
            for before, after in pairwise([columns, *[width] * depth])
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))

    def node_embeddings(self, graphs: Graphs) -> Float[Tensor, "nodes features"]:
        """Return what each layer makes of each node, layers side by side."""
        source, target = graphs.edges
        nodes, layers = graphs.nodes, []
        for network, norm in zip(self.networks, self.norms, strict=True):
            nodes = norm(network(nodes.index_add(0, target, nodes[source])))
            layers.append(nodes)
        return torch.cat(layers, 1)

    def forward(self, graphs: Graphs) -> Float[Tensor, "graphs features"]:
        nodes = self.node_embeddings(graphs)
        return nodes.new_zeros(len(graphs), nodes.shape[1]).index_add(0, graphs.graph_of_node(), nodes)
