"""Graphs of PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.graphs import GraphSource
from unconfound.data.source import Dataset, Schema
from unconfound.data.targets import labelled_part


def from_pyg(graphs: Iterable[Any], *, name: str = "graphs") -> Dataset:
    """Take the graphs of a PyTorch Geometric data set, or of a list of its `Data`.

    Of each graph `x` (features of its nodes; all graphs or none have it, and without it the feature is the constant 1),
    `edge_index` and `y` (its class, a whole number; may be missing) are used. Edges are taken as they are.

    Args:
        graphs: anything that yields objects with these attributes.
        name: how logs and reports call it.

    Returns:
        All graphs as `train`, and those that have a class as `labelled`: graphs are judged by cross-validation.

    Raises:
        ValueError: there are no graphs, or one does not fit; the message names it.
    """
    graphs = list(graphs)
    if not graphs:
        raise ValueError(f"{name} holds no graphs: at least one is needed")
    features = [getattr(graph, "x", None) for graph in graphs]
    sizes = torch.tensor([_size(graph, x) for graph, x in zip(graphs, features, strict=True)])
    edges = [_edges(graph, f"{name}: graph {number}") for number, graph in enumerate(graphs)]
    nodes = _nodes(features, sizes, name)
    labels, classes = _labels(graphs, name)
    source = GraphSource(
        name,
        Schema("graphs", (nodes.shape[1] if nodes.dim() == 2 else 1,), classes),
        nodes,
        torch.cat(edges, 1),
        sizes=sizes,
        edge_counts=torch.tensor([each.shape[1] for each in edges]),
        labels=labels,
        notes=() if nodes.dim() == 2 else ("node features: the constant 1, 1 wide",),
    )
    return Dataset(train=source, tests={}, labelled=labelled_part(source), restore={"kind": "graphs"})


def _size(graph: Any, features: Tensor | None) -> int:
    if features is not None:
        return len(features)
    # Without features PyG guesses from the edges, with a warning, where nobody has told the number.
    return int(graph.num_nodes or 0)


def _edges(graph: Any, called: str) -> Int[Tensor, "2 edges"]:
    edges = getattr(graph, "edge_index", None)
    if edges is None:
        return torch.empty(2, 0, dtype=torch.long)
    if edges.dim() != 2 or len(edges) != 2 or edges.is_floating_point():
        raise ValueError(
            f"{called} has an edge_index of {edges.dtype} and shape {tuple(edges.shape)}: whole numbers of shape "
            "[2, edges] are needed"
        )
    return edges.long().cpu()  # type: ignore[no-any-return]


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
