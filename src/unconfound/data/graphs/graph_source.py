"""Graphs in memory, all in one flat array each of nodes and edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.data.core.batch import Batch, Graphs
from unconfound.data.core.ranges import concatenated_ranges
from unconfound.data.core.source import Schema, Source


@dataclass(eq=False)
class GraphSource(Source):
    """Graphs that lie one after the other; a batch is a few indexing operations, whatever the number of its graphs.

    Args:
        name: how logs and reports call it.
        schema: of graphs; its shape is the number of features of a node.
        nodes: the features of all nodes; or the code of each, 0 or above, which becomes one-hot in a batch (-1: all
            zeros).
        edges: source and target of all directed edges, counted in their own graph from 0.
        sizes: nodes of each graph.
        edge_counts: edges of each graph.
        labels, groups: -1 where a graph has none; None where none has.
        names: how errors and reports call each graph; "graph 0", "graph 1", ... where None.
        notes: for the run's log.

    Raises:
        ValueError: a graph without nodes, an edge to a node that its graph lacks, NaN or infinity, another number of
            features than the schema says, sizes and counts that do not sum up. The message names the graph.
    """

    name: str
    schema: Schema
    nodes: Int[Tensor, " nodes"] | Float[Tensor, "nodes features"]
    edges: Int[Tensor, "2 edges"]
    sizes: Int[Tensor, " samples"]
    edge_counts: Int[Tensor, " samples"]
    labels: Int[Tensor, " samples"] | None = None
    groups: Int[Tensor, " samples"] | None = None
    names: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._check()
        self.first_nodes = self.sizes.cumsum(0) - self.sizes
        self.first_edges = self.edge_counts.cumsum(0) - self.edge_counts

    def __len__(self) -> int:
        return len(self.sizes)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU."""
        for index in order:
            sizes, edge_counts = self.sizes[index], self.edge_counts[index]
            edges = self.edges.index_select(1, concatenated_ranges(self.first_edges[index], edge_counts))
            first_nodes = sizes.cumsum(0) - sizes
            edges += first_nodes.repeat_interleave(edge_counts, output_size=edges.shape[1])
            nodes = self.nodes[concatenated_ranges(self.first_nodes[index], sizes)]
            nodes = nodes if nodes.is_floating_point() else one_hot(nodes, self.schema.shape[0])
            yield self._batch(Graphs(nodes, edges, sizes), index)

    def _check(self) -> None:
        for what, counts, total in (("nodes", self.sizes, self.nodes), ("edges", self.edge_counts, self.edges[0])):
            if len(counts) != len(self) or int(counts.sum()) != len(total):
                raise ValueError(
                    f"{self.name}: {len(counts):,} graphs have {int(counts.sum()):,} {what} together, but there are "
                    f"{len(self):,} graphs and {len(total):,} {what}"
                )
        if bool((self.sizes < 1).any()):
            raise ValueError(f"{self.name}: {self._called(int(self.sizes.argmin()))} has no nodes: leave it out")
        width = self.schema.shape[0]
        graph_of_node = torch.arange(len(self)).repeat_interleave(self.sizes)
        if self.nodes.dim() == 2 and self.nodes.shape[1] != width:
            raise ValueError(f"{self.name}: nodes have {self.nodes.shape[1]} features, the schema says {width}")
        wrong = ~self.nodes.isfinite().all(1) if self.nodes.dim() == 2 else (self.nodes < -1) | (self.nodes >= width)
        if (node := _first(wrong)) is not None:
            what = "a node with NaN or infinity among its features: fill or drop it first"
            if self.nodes.dim() == 1:
                what = f"a node of code {int(self.nodes[node])}, but there are {width} (0 to {width - 1}, -1 for none)"
            raise ValueError(f"{self.name}: {self._called(int(graph_of_node[node]))} has {what}")
        graph_of_edge = torch.arange(len(self)).repeat_interleave(self.edge_counts)
        if (edge := _first(((self.edges < 0) | (self.edges >= self.sizes[graph_of_edge])).any(0))) is not None:
            graph, (source, target) = int(graph_of_edge[edge]), self.edges[:, edge].tolist()
            raise ValueError(
                f"{self.name}: {self._called(graph)} has an edge from node {source} to node {target}, but its nodes "
                f"are 0 to {int(self.sizes[graph]) - 1}"
            )

    def _called(self, graph: int) -> str:
        return f"graph {graph}" if self.names is None else self.names[graph]


def one_hot(codes: Int[Tensor, " nodes"], width: int) -> Float[Tensor, "nodes width"]:
    """Return a row of zeros for each code, with a 1 at its place; -1 has none."""
    features = torch.zeros(len(codes), width)
    return features.scatter_(1, codes.clamp_min(0)[:, None], (codes >= 0).float()[:, None])


def _first(wrong: Bool[Tensor, " values"]) -> int | None:
    """The position of the first True."""
    return int(wrong.int().argmax()) if bool(wrong.any()) else None
