"""Graphs in the text files of the TU collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.graphs import GraphSource
from unconfound.data.source import Dataset, Schema
from unconfound.data.targets import labelled_part
from unconfound.data.tu_files import TUFiles, is_tu_folder, read_tu_files, tu_archive, tu_names

__all__ = ["is_tu_folder", "tu_folder", "tu_set"]

NodeFeatures = Literal["auto", "labels", "degree", "constant"]
# Nodes of more neighbours share the last feature.
LARGEST_DEGREE = 100


def tu_set(
    name: str,
    root: Path | None,
    *,
    node_features: NodeFeatures = "auto",
    encoding: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read a set of the TU collection by its name, from a folder or a zip file. Nothing is downloaded or unpacked.

    Args:
        name: as the collection writes it, such as "IMDB-BINARY".
        root: the folder that holds NAME, NAME.zip or TUDataset with one of these; files may lie in NAME or NAME/raw.
        node_features, encoding: as `tu_folder` has them.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: `root` is None, or as `tu_folder`.
    """
    if root is None:
        raise ValueError(f"{name} is read from files: say which folder holds them (--data-root)")
    for folder in (root, root / "TUDataset"):
        if is_tu_folder(folder / name):
            return tu_folder(folder / name, node_features=node_features, encoding=encoding)
        if (folder / f"{name}.zip").is_file():
            files = tu_archive(folder / f"{name}.zip", name)
            return _dataset(files, node_features, encoding)
    raise FileNotFoundError(
        f"{name} needs {name}_A.txt and {name}_graph_indicator.txt in {root / 'TUDataset' / name} (or its raw folder), "
        f"or {name}.zip beside it: nothing is downloaded, put them there"
    )


def tu_folder(
    path: Path, *, node_features: NodeFeatures = "auto", encoding: Mapping[str, Any] | None = None
) -> Dataset:
    """Read graphs in the TU form: NAME_A.txt, NAME_graph_indicator.txt and, where there, graph and node labels.

    All graphs are in `train`, and `labelled` are those of them that have a label: graphs are judged by
    cross-validation. Repeated edges are dropped, loops stay. Attributes and edge labels are not used. Graphs are named
    by their number in the files, from 1.

    Args:
        path: the folder of the files, or one whose folder `raw` holds them.
        node_features: "labels" one-hot, "degree" (neighbours listed after a node) one-hot up to 100, above which all
            share the last feature, or "constant", the number 1; "auto" is labels where there are any, else constant.
        encoding: the "encoding" of an earlier `Dataset.restore`: the same features and classes are then made of these
            graphs, whatever `node_features` is. An unknown node label becomes all zeros, an unknown class -1; both are
            noted.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: damaged files, an edge to a missing node or another graph, a graph without nodes, or node features
            that these graphs do not have.
    """
    names = tu_names(path)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise ValueError(f"{path} should hold the files of one set of graphs (NAME_A.txt, ...), found: {found}")
    folder = path if (path / f"{names[0]}_A.txt").is_file() else path / "raw"
    return _dataset(read_tu_files(folder, names[0]), node_features, encoding)


def _dataset(files: TUFiles, node_features: str, encoding: Mapping[str, Any] | None) -> Dataset:
    notes = list(files.notes)
    encoding = _fitted(files, node_features) if encoding is None else dict(encoding)
    codes, features = _codes(files, encoding, notes)
    labels, classes = None, tuple(encoding["classes"])
    if files.graph_labels is not None and classes:
        labels = _places(files.graph_labels, classes, "graphs have a class", notes)
    graphs, nodes, edges = len(files.sizes), len(files.graph_of_node), files.edges.shape[1]
    notes.append(
        f"{graphs:,} graphs of {len(classes)} classes, on average of {nodes / graphs:.2f} nodes and "
        f"{edges / graphs:.2f} edges, counted in each direction"
    )
    first_nodes = np.cumsum(files.sizes) - files.sizes
    graph_of_edge = files.graph_of_node[files.edges[0]]
    source = GraphSource(
        files.name,
        Schema("graphs", (features,), classes),
        torch.from_numpy(codes),
        torch.from_numpy(files.edges - first_nodes[graph_of_edge]),
        sizes=torch.from_numpy(files.sizes),
        edge_counts=torch.from_numpy(np.bincount(graph_of_edge, minlength=graphs)),
        labels=labels,
        names=[f"graph {number}" for number in range(1, graphs + 1)],
        notes=notes,
    )
    restore = {"kind": "graphs", "node_features": encoding["node_features"], "encoding": encoding}
    return Dataset(train=source, tests={}, labelled=labelled_part(source), restore=restore)


def _fitted(files: TUFiles, node_features: str) -> dict[str, Any]:
    """Decide what becomes of nodes and classes, as JSON values."""
    if node_features not in ("auto", "labels", "degree", "constant"):
        raise ValueError(f"node features must be auto, labels, degree or constant, got {node_features!r}")
    if node_features == "auto":
        node_features = "constant" if files.node_labels is None else "labels"
    encoding: dict[str, Any] = {"node_features": node_features, "classes": _distinct(files.graph_labels)}
    if node_features == "labels":
        encoding["labels"] = _distinct(files.node_labels)
    if node_features == "degree":
        encoding["largest"] = LARGEST_DEGREE
    return encoding


def _codes(files: TUFiles, encoding: Mapping[str, Any], notes: list[str]) -> tuple[Int[np.ndarray, " nodes"], int]:
    """The code of each node, and how many codes there are."""
    kind, nodes = encoding["node_features"], len(files.graph_of_node)
    if kind == "labels":
        if files.node_labels is None:
            raise ValueError(
                f"{files.name} has no node labels ({files.name}_node_labels.txt), which were asked for or which the "
                "encoder was trained on: give them, or train on node features degree or constant"
            )
        known = encoding["labels"]
        notes.append(f"node features: {len(known)} node labels, one-hot")
        return _places(files.node_labels, known, "nodes have a label", notes).numpy(), len(known)
    if kind == "degree":
        largest = int(encoding["largest"])
        degrees = np.bincount(files.edges[0], minlength=nodes)
        above = int((degrees > largest).sum())
        notes.append(
            f"node features: degree, one-hot, {largest + 1} wide; {above:,} nodes have more than {largest} neighbours "
            "and share the last"
        )
        return np.minimum(degrees, largest), largest + 1
    notes.append("node features: the constant 1, 1 wide")
    return np.zeros(nodes, np.int64), 1


def _distinct(values: Int[np.ndarray, " values"] | None) -> list[str]:
    """The distinct values as text, in the order of their numbers."""
    return [] if values is None else [str(value) for value in np.unique(values)]


def _places(
    values: Int[np.ndarray, " values"], known: list[str] | tuple[str, ...], what: str, notes: list[str]
) -> Int[Tensor, " values"]:
    """The place of each value among the known ones; -1, and a note, where it is none of them."""
    numbers = np.array([int(text) for text in known])
    order = numbers.argsort()
    found = order[np.searchsorted(numbers[order], values).clip(max=len(numbers) - 1)]
    places = np.where(numbers[found] == values, found, -1)
    unknown = int((places < 0).sum())
    if unknown:
        notes.append(f"{unknown:,} of {len(values):,} {what} unknown in training")
    return torch.from_numpy(places)
