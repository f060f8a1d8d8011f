"""What becomes of the nodes of a TU set: codes that are one-hot later, or features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from unconfound.data.graphs.graph_source import one_hot
from unconfound.data.graphs.tu_files import TUFiles
from unconfound.options.data import NodeFeatures

# Nodes of more neighbours share the last feature.
LARGEST_DEGREE = 100


def uses_attributes(kind: str) -> bool:
    """Say whether such node features are made of the nodes' attributes."""
    return kind in ("attributes", "labels+attributes")


def fit_node_features(files: TUFiles, kind: str) -> dict[str, Any]:
    """Decide what becomes of nodes: the values of an encoding that `make_node_features` reads, fit for JSON.

    Raises:
        ValueError: an unknown kind.
    """
    known = get_args(NodeFeatures)
    if kind not in known:
        raise ValueError(f"node features must be {', '.join(known[:-1])} or {known[-1]}, got {kind!r}")
    if kind == "auto":
        kind = "constant" if files.node_labels is None else "labels"
    encoding: dict[str, Any] = {"node_features": kind}
    if kind in ("labels", "labels+attributes") and files.node_labels is not None:
        columns = [distinct(column) for column in files.node_labels.T]
        encoding["labels"] = columns if len(columns) > 1 else columns[0]
    if uses_attributes(kind) and files.node_attributes is not None:
        encoding["attributes"] = files.node_attributes.shape[1]
    if kind == "degree":
        encoding["largest"] = LARGEST_DEGREE
    return encoding


def make_node_features(
    files: TUFiles, encoding: Mapping[str, Any], notes: list[str]
) -> tuple[Int[Tensor, " nodes"] | Float[Tensor, "nodes features"], int]:
    """Return the code of each node, or its features where one code cannot say them; and the number of features.

    Raises:
        ValueError: these graphs lack labels or attributes that are needed, or have another number of columns of them.
    """
    kind, nodes = encoding["node_features"], len(files.graph_of_node)
    if kind == "constant":
        notes.append("node features: the constant 1, 1 wide")
        return torch.zeros(nodes, dtype=torch.long), 1
    if kind == "degree":
        return _degrees(files, int(encoding["largest"]), notes)
    codes = [] if kind == "attributes" else _label_codes(files, encoding, notes)
    if kind == "labels" and len(codes) == 1:
        return codes[0]
    # Attributes come first, as in PyTorch Geometric.
    attributes = [_attributes(files, encoding, notes)] if uses_attributes(kind) else []
    features = torch.cat([*attributes, *(one_hot(code, width) for code, width in codes)], 1)
    return features, features.shape[1]


def distinct(values: Int[np.ndarray, " values"] | None) -> list[str]:
    """The distinct values as text, in the order of their numbers."""
    return [] if values is None else [str(value) for value in np.unique(values)]


def value_positions(
    values: Int[np.ndarray, " values"], known: Sequence[str], what: str, notes: list[str]
) -> Int[Tensor, " values"]:
    """The place of each value among the known ones; -1, and a note, where it is none of them."""
    numbers = np.array([int(text) for text in known])
    order = numbers.argsort()
    found = order[np.searchsorted(numbers[order], values).clip(max=len(numbers) - 1)]
    place = np.where(numbers[found] == values, found, -1)
    unknown = int((place < 0).sum())
    if unknown:
        notes.append(f"{unknown:,} of {len(values):,} {what} unknown in training")
    return torch.from_numpy(place)


def _degrees(files: TUFiles, largest: int, notes: list[str]) -> tuple[Int[Tensor, " nodes"], int]:
    degrees = np.bincount(files.edges[0], minlength=len(files.graph_of_node))
    above = int((degrees > largest).sum())
    notes.append(
        f"node features: degree, one-hot, {largest + 1} wide; {above:,} nodes have more than {largest} neighbours "
        "and share the last"
    )
    return torch.from_numpy(np.minimum(degrees, largest)), largest + 1


def _label_codes(
    files: TUFiles, encoding: Mapping[str, Any], notes: list[str]
) -> list[tuple[Int[Tensor, " nodes"], int]]:
    """The codes of each column of labels, and how many there are."""
    known = encoding.get("labels", [])
    # The labels of a single column are listed flat.
    columns = known if known and isinstance(known[0], list) else [known]
    labels = _needed(files.node_labels, files.name, "labels", len(columns))
    notes.append(f"node features: {' + '.join(str(len(column)) for column in columns)} node labels, one-hot")
    return [
        (value_positions(values, column, "nodes have a label", notes), len(column))
        for values, column in zip(labels.T, columns, strict=True)
    ]


def _attributes(files: TUFiles, encoding: Mapping[str, Any], notes: list[str]) -> Float[Tensor, "nodes attributes"]:
    values = _needed(files.node_attributes, files.name, "attributes", encoding.get("attributes", 0))
    notes.append(f"node features: {values.shape[1]} node attributes, as the file has them")
    return torch.tensor(values, dtype=torch.float32)


def _needed(values: Shaped[np.ndarray, "nodes found"] | None, name: str, what: str, columns: int) -> np.ndarray:
    file = f"{name}_node_{what}.txt"
    if values is None:
        raise ValueError(
            f"{name} has no node {what} ({file}), which were asked for or which the encoder was trained on: give them, "
            "or train on node features degree or constant"
        )
    if values.shape[1] != columns:
        raise ValueError(f"{file} has {values.shape[1]} numbers a line, the encoder was trained on {columns}")
    return values
