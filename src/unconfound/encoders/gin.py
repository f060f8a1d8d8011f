"""The graph isomorphism network, for graphs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.data import Graphs
from unconfound.encoders.node_kinds import Kinds, node_kinds
from unconfound.encoders.row_sums import RowSums, sum_rows


class GIN(nn.Module):
    """`depth` layers, each a sum over neighbours and a small network; the embedding sums each layer over the nodes.

    InfoGraph's encoder, which DACL's graph experiments use: a = x_u + the sum of x over the neighbours of u;
    x_u <- BatchNorm(ReLU(Linear(ReLU(Linear(a))))). Layers are concatenated.

    On a CPU each small network runs once for all nodes that it cannot tell apart (`node_kinds`), most of them where
    nodes have few labels or none. The result is that of running it for each node, up to the order of sums.

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

    def forward(self, graphs: Graphs) -> Float[Tensor, "graphs features"]:
        of_graph = _nodes_of_graphs(graphs)
        return torch.cat([sum_rows(layer, of_graph) for layer in self._layers(graphs, self._kinds(graphs))], 1)

    def nodes_and_graphs(
        self, graphs: Graphs
    ) -> tuple[Float[Tensor, "kinds features"], Int[Tensor, " nodes"], Float[Tensor, "graphs features"]]:
        """Return the embeddings of nodes and graphs of one pass.

        Returns:
            Embeddings of nodes, those that are alike only once; the row of each node among them; and the embeddings of
            the graphs, as `forward` has them.
        """
        kinds = self._kinds(graphs)
        nodes = torch.cat(list(self._layers(graphs, kinds)), 1)
        embeddings = sum_rows(nodes, _nodes_of_graphs(graphs))
        every = torch.arange(len(nodes), device=nodes.device)
        if not kinds:
            return nodes, every, embeddings
        first = kinds[-1].first
        one_a_kind = RowSums.of_pairs(first, every[: len(first)], rows=len(nodes), sums=len(first))
        return sum_rows(nodes, one_a_kind), kinds[-1].of_node, embeddings

    def _kinds(self, graphs: Graphs) -> list[Kinds]:
        """The kinds of nodes at each layer, or none, where each node is to be looked at for itself."""
        # On a GPU a layer takes less time than telling kinds apart. A gradient is asked for of each node.
        if graphs.nodes.device.type != "cpu" or graphs.nodes.requires_grad:
            return []
        return node_kinds(graphs.nodes, graphs.edges, layers=len(self.norms))

    def _layers(self, graphs: Graphs, kinds: list[Kinds]) -> Iterator[Float[Tensor, "nodes width"]]:
        nodes, count = graphs.nodes, len(graphs.nodes)
        every = torch.arange(count, device=nodes.device)
        source, target = torch.cat([graphs.edges, every.expand(2, -1)], 1)
        neighbourhoods = None if kinds else RowSums.of_pairs(source, target, rows=count, sums=count)
        for layer, (network, norm) in enumerate(zip(self.networks, self.norms, strict=True)):
            if neighbourhoods is not None:
                nodes = norm(network(sum_rows(nodes, neighbourhoods)))
            else:
                first, of_node = kinds[layer].first, kinds[layer].of_node
                taken = torch.zeros(count, dtype=torch.bool).index_fill(0, first, True)[target]
                of_first = RowSums.of_pairs(source[taken], of_node[target[taken]], rows=count, sums=len(first))
                copies = RowSums.of_pairs(of_node, every, rows=len(first), sums=count)
                nodes = norm(sum_rows(network(sum_rows(nodes, of_first)), copies))
            yield nodes


def _nodes_of_graphs(graphs: Graphs) -> RowSums:
    count = len(graphs.nodes)
    every = torch.arange(count, device=graphs.nodes.device)
    return RowSums.of_pairs(every, graphs.graph_of_node(), rows=count, sums=len(graphs))
