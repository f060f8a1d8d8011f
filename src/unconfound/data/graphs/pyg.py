"""Graphs of PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Schema
from unconfound.data.core.subset import labelled_part
from unconfound.data.graphs.graph_source import GraphSource

# Data of PyTorch Geometric whose `edge_index`, if any, does not join two nodes of one kind.
_OTHER_KINDS = {
    "HeteroData": "has nodes and edges of several kinds: give what its to_homogeneous() returns",
    "HyperGraphData": "has edges that join any number of nodes: make edges of two nodes each",
    "TemporalData": "holds events over time: make graphs of them",
}


def from_pyg(graphs: Iterable[Any], *, name: str = "graphs") -> Dataset:
    """Take the graphs of a PyTorch Geometric data set, or of a list of its `Data` or `Batch`.

    Of each graph `x` (features of its nodes; all graphs or none have it, and without it the feature is the constant 1),
    its edges and `y` (its class, a whole number; may be missing) are used. The edges are those of `edge_index`, else of
    the sparse or dense matrix `adj_t` (the row of an entry is the target) or `adj` (the row is the source), taken as
    they are. Where `ToDense` has padded a graph, the nodes outside its `mask` are left out.

    Args:
        graphs: anything that yields objects with these attributes.
        name: how logs and reports call it.

    Returns:
        All graphs as `train`, and those that have a class as `labelled`: graphs are evaluated by cross-validation.

    Raises:
        ValueError: there are no graphs, or one does not fit; the message names it. So does a graph of several nodes
            that has none of `edge_index`, `adj_t` and `adj`, and one of several kinds of nodes or edges.
    """
    graphs = list(_singly(graphs, name))
    if not graphs:
        raise ValueError(f"{name} holds no graphs: at least one is needed")
    parts = [_parts(graph, f"{name}: graph {number}") for number, graph in enumerate(graphs)]
    sizes = torch.tensor([part.size for part in parts])
    nodes = _nodes([part.features for part in parts], sizes, name)
    labels, classes = _labels(graphs, name)
    notes = [] if nodes.dim() == 2 else ["node features: the constant 1, 1 wide"]
    for attribute in ("edge_attr", "edge_weight"):
        if any(getattr(graph, attribute, None) is not None for graph in graphs):
            notes.append(f"{attribute} is not used")
    source = GraphSource(
        name,
        Schema("graphs", (nodes.shape[1] if nodes.dim() == 2 else 1,), classes),
        nodes,
        torch.cat([part.edges for part in parts], 1),
        sizes=sizes,
        edge_counts=torch.tensor([part.edges.shape[1] for part in parts]),
        labels=labels,
        notes=tuple(notes),
    )
    return Dataset(train=source, tests={}, labelled=labelled_part(source), restore={"kind": "graphs"})


def _singly(graphs: Iterable[Any], name: str) -> Iterator[Any]:
    """Yield graph by graph what may be batches of them."""
    # A batch, and a graph, yields its attributes when it is iterated over.
    for each in [graphs] if hasattr(graphs, "to_data_list") else graphs:
        try:
            yield from each.to_data_list() if hasattr(each, "to_data_list") else [each]
        except (RuntimeError, AttributeError) as error:
            # Dense batches do not know their graphs.
            raise ValueError(f"{name}: a batch cannot be taken apart: give the graphs that it is made of") from error


@dataclass(frozen=True)
class _Parts:
    features: Tensor | None
    size: int
    edges: Int[Tensor, "2 edges"]


def _parts(graph: Any, called: str) -> _Parts:
    """Take a graph apart, whatever form its edges have."""
    for kind in type(graph).__mro__:
        if kind.__name__ in _OTHER_KINDS:
            raise ValueError(f"{called} is a {kind.__name__}, which {_OTHER_KINDS[kind.__name__]}")
    features = getattr(graph, "x", None)
    features = features.to_dense() if isinstance(features, Tensor) else features
    for given in ("edge_index", "adj_t", "adj"):
        if (edges := getattr(graph, given, None)) is None:
            continue
        if given == "edge_index":
            return _Parts(features, _size(graph, features), _pairs(edges, called))
        rows, columns, size = _entries(edges, f"{called} has an {given} of")
        pairs = torch.stack([columns, rows] if given == "adj_t" else [rows, columns])
        if features is not None and len(features) != size:
            raise ValueError(f"{called} has {len(features)} nodes by its x, but {size} by its {given}")
        kept = getattr(graph, "mask", None)
        if given == "adj" and isinstance(kept, Tensor) and kept.dtype == torch.bool and kept.shape == (size,):
            return _unpadded(features, pairs, kept)
        return _Parts(features, size, pairs)
    size = _size(graph, features)
    if size != 1:
        raise ValueError(
            f"{called} ({type(graph).__name__}) has none of edge_index, adj_t and adj: graphs are Data of PyTorch "
            "Geometric, and one without edges has an edge_index of shape [2, 0]"
        )
    return _Parts(features, size, torch.empty(2, 0, dtype=torch.long))


def _size(graph: Any, features: Tensor | None) -> int:
    if features is not None:
        return len(features)
    # Without features PyG guesses from the edges, with a warning, where nobody has told the number.
    return int(getattr(graph, "num_nodes", None) or 0)


def _pairs(edges: Tensor, called: str) -> Int[Tensor, "2 edges"]:
    if not isinstance(edges, Tensor) or edges.layout != torch.strided:
        raise ValueError(f"{called} has an edge_index that is no dense tensor: matrices of edges are adj_t or adj")
    if edges.dim() != 2 or len(edges) != 2 or edges.is_floating_point():
        raise ValueError(
            f"{called} has an edge_index of {edges.dtype} and shape {tuple(edges.shape)}: whole numbers of shape "
            "[2, edges] are needed"
        )
    # PyG's own class of tensors, EdgeIndex, keeps an order in mind that does not survive batching.
    return edges.as_subclass(Tensor).long().cpu()


def _entries(matrix: Any, called: str) -> tuple[Int[Tensor, " edges"], Int[Tensor, " edges"], int]:
    """The rows and columns of a matrix's entries, and its side: dense, sparse, or a SparseTensor of torch_sparse."""
    if not (isinstance(matrix, Tensor) or hasattr(matrix, "coo")):
        raise ValueError(f"{called} type {type(matrix).__name__}: a tensor or a SparseTensor is needed")
    shape = tuple(matrix.shape if isinstance(matrix, Tensor) else matrix.sizes())
    if len(shape) < 2 or shape[0] != shape[1]:
        raise ValueError(f"{called} shape {shape}: [nodes, nodes] is needed")
    if not isinstance(matrix, Tensor):
        rows, columns, _ = matrix.coo()
    elif matrix.layout == torch.strided:
        rows, columns = matrix.reshape(*shape[:2], -1).any(2).nonzero().T
    else:
        # Not coalesced: an edge that is there twice stays.
        rows, columns = matrix.to_sparse_coo()._indices()[:2]
    return rows.cpu(), columns.cpu(), shape[0]


def _unpadded(features: Tensor | None, pairs: Int[Tensor, "2 edges"], kept: Bool[Tensor, " nodes"]) -> _Parts:
    inside = kept.cpu()
    places = inside.cumsum(0) - 1
    pairs = places[pairs[:, inside[pairs].all(0)]]
    return _Parts(None if features is None else features[kept], int(inside.sum()), pairs)


def _nodes(features: list[Tensor | None], sizes: Int[Tensor, " graphs"], name: str) -> Tensor:
    """The features of all nodes, or the code 0 of each where no graph has features."""
    if all(each is None for each in features):
        return torch.zeros(int(sizes.sum()), dtype=torch.long)
    width = next(each.shape[-1] for each in features if each is not None)
    for number, each in enumerate(features):
        if each is None or each.dim() != 2 or each.shape[1] != width:
            found = "no features" if each is None else f"features of shape {tuple(each.shape)}"
            raise ValueError(
                f"{name}: the nodes of graph {number} have {found}, those of the first with features [nodes, {width}]: "
                "all graphs need the same"
            )
    nodes = torch.cat([each for each in features if each is not None]).detach().cpu()
    return nodes if nodes.is_floating_point() else nodes.float()


def _labels(graphs: list[Any], name: str) -> tuple[Int[Tensor, " graphs"] | None, tuple[str, ...]]:
    """The class of each graph, -1 where it has none; and the names of the classes."""
    values: list[int | None] = []
    for number, graph in enumerate(graphs):
        given = getattr(graph, "y", None)
        given = None if given is None else torch.as_tensor(given).flatten().tolist()
        if given is not None and (len(given) != 1 or given[0] != given[0] // 1):
            raise ValueError(f"{name}: graph {number} has y = {given}, one whole number is needed: its class")
        values.append(None if given is None else int(given[0]))
    classes = sorted({value for value in values if value is not None})
    if not classes:
        return None, ()
    places: dict[int | None, int] = {value: place for place, value in enumerate(classes)}
    return torch.tensor([places.get(value, -1) for value in values]), tuple(str(value) for value in classes)
