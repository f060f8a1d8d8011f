"""Graphs in the text files of the TU collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unconfound.data.core.source import Dataset, Schema
from unconfound.data.core.subset import labelled_part
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.graphs.node_features import (
    distinct,
    fit_node_features,
    make_node_features,
    uses_attributes,
    value_positions,
)
from unconfound.data.graphs.tu_files import TUFiles, is_tu_folder, read_tu_files, tu_archive, tu_names
from unconfound.options.data import NodeFeatures

__all__ = ["is_tu_folder", "tu_folder", "tu_set"]


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
            attributes = _attributes_needed(node_features, encoding)
            files = tu_archive(folder / f"{name}.zip", name, attributes=attributes)
            return _dataset(files, node_features, encoding)
    raise FileNotFoundError(
        f"{name} needs {name}_A.txt and {name}_graph_indicator.txt in {root / 'TUDataset' / name} (or its raw folder), "
        f"or {name}.zip beside it: nothing is downloaded, put them there"
    )


def tu_folder(
    path: Path, *, node_features: NodeFeatures = "auto", encoding: Mapping[str, Any] | None = None
) -> Dataset:
    """Read graphs in the TU form: NAME_A.txt, NAME_graph_indicator.txt and, where there, graph and node labels.

    All graphs are in `train`, and `labelled` are those of them that have a label: graphs are evaluated by
    cross-validation. As in PyTorch Geometric's `TUDataset`, loops and repeated edges are dropped, and an edge that is
    listed in one direction only goes that way only; the notes count all three. Labels and attributes of edges are not
    used. Graphs are named by their number in the files, from 1.

    Args:
        path: the folder of the files, or one whose folder `raw` holds them.
        node_features: "labels" one-hot, several to a node side by side; "attributes" as the file has them;
            "labels+attributes", the attributes first; "degree" (neighbours listed after a node) one-hot up to 100,
            above which all share the last feature; or "constant", the number 1. "auto" is labels where there are any,
            else constant.
        encoding: the "encoding" of an earlier `Dataset.restore`: the same features and classes are then made of these
            graphs, whatever `node_features` is. An unknown node label becomes all zeros, an unknown class -1; both are
            noted. Of `features_alone`, the classes are those of these graphs.

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
    files = read_tu_files(folder, names[0], attributes=_attributes_needed(node_features, encoding))
    return _dataset(files, node_features, encoding)


def _attributes_needed(node_features: str, encoding: Mapping[str, Any] | None) -> bool:
    return uses_attributes(node_features if encoding is None else encoding["node_features"])


def _dataset(files: TUFiles, node_features: str, encoding: Mapping[str, Any] | None) -> Dataset:
    notes = list(files.notes)
    fitted = {} if encoding is not None else fit_node_features(files, node_features)
    encoding = {"classes": distinct(files.graph_labels)} | fitted | dict(encoding or {})
    nodes, features = make_node_features(files, encoding, notes)
    labels, classes = None, tuple(encoding["classes"])
    if files.graph_labels is not None and classes:
        labels = value_positions(files.graph_labels, classes, "graphs have a class", notes)
    graphs, edges = len(files.sizes), files.edges.shape[1]
    notes.append(
        f"{graphs:,} graphs of {len(classes)} classes, on average of {len(nodes) / graphs:.2f} nodes and "
        f"{edges / graphs:.2f} edges, counted in each direction"
    )
    first_nodes = np.cumsum(files.sizes) - files.sizes
    graph_of_edge = files.graph_of_node[files.edges[0]]
    source = GraphSource(
        files.name,
        Schema("graphs", (features,), classes),
        nodes,
        torch.from_numpy(files.edges - first_nodes[graph_of_edge]),
        sizes=torch.from_numpy(files.sizes),
        edge_counts=torch.from_numpy(np.bincount(graph_of_edge, minlength=graphs)),
        labels=labels,
        names=[f"graph {number}" for number in range(1, graphs + 1)],
        notes=notes,
    )
    restore = {"kind": "graphs", "node_features": encoding["node_features"], "encoding": dict(encoding)}
    return Dataset(train=source, tests={}, labelled=labelled_part(source), restore=restore)
