"""The text files of a TU set, as arrays whose every reference has been checked."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from unconfound.data.files.damaged import located, naming

# Opens the file of this ending, or gives None where there is none.
_Open = Callable[[str], IO[bytes] | None]


@dataclass(frozen=True)
class TUFiles:
    """A set of graphs as its files have it.

    Args:
        name: of the set.
        graph_of_node: from 0, ascending.
        sizes: nodes of each graph.
        edges: source and target of each edge among all nodes, from 0, without loops and repeats, ascending.
        node_labels: in one or several columns; None where there is no such file.
        node_attributes: None where there is no such file, or nobody asked for them.
        graph_labels: None where there is no such file.
        notes: what was dropped, is not used or is noteworthy.
    """

    name: str
    graph_of_node: Int[ndarray, " nodes"]
    sizes: Int[ndarray, " graphs"]
    edges: Int[ndarray, "2 edges"]
    node_labels: Int[ndarray, "nodes columns"] | None
    node_attributes: Float[ndarray, "nodes columns"] | None
    graph_labels: Int[ndarray, " graphs"] | None
    notes: list[str]


def tu_names(path: Path) -> list[str]:
    """The sets whose files lie in a folder or in its folder `raw`."""
    found = (file for folder in (path, path / "raw") for file in folder.glob("*_graph_indicator.txt"))
    names = {file.name.removesuffix("_graph_indicator.txt"): file.parent for file in found}
    return sorted(name for name, folder in names.items() if (folder / f"{name}_A.txt").is_file())


def is_tu_folder(path: Path) -> bool:
    """Say whether a folder (or its folder `raw`) holds NAME_A.txt and NAME_graph_indicator.txt."""
    return bool(tu_names(path))


def read_tu_files(folder: Path, name: str, *, attributes: bool = False) -> TUFiles:
    """Read the files of a set from the folder that they lie in.

    Args:
        folder: holds NAME_A.txt and the others.
        name: of the set.
        attributes: read those of the nodes, too.

    Raises:
        FileNotFoundError: edges or graph indicator are missing.
        ValueError: damaged files; the message names the file and the line.
    """

    def opened(ending: str) -> IO[bytes] | None:
        file = folder / f"{name}_{ending}.txt"
        return file.open("rb") if file.is_file() else None

    return _read(name, opened, attributes=attributes)


def tu_archive(path: Path, name: str, *, attributes: bool = False) -> TUFiles:
    """Read the files of a set from a zip file, in whatever folder of it they lie.

    Raises:
        FileNotFoundError, ValueError: as `read_tu_files`.
    """
    with naming(path):
        archive = zipfile.ZipFile(path)
    with archive, located(path):
        members = {Path(member).name: member for member in archive.namelist()}

        def opened(ending: str) -> IO[bytes] | None:
            member = members.get(f"{name}_{ending}.txt")
            if member is None:
                return None
            with naming(path):
                return BytesIO(archive.read(member))

        return _read(name, opened, attributes=attributes)


def _read(name: str, opened: _Open, *, attributes: bool) -> TUFiles:
    indicator, pairs = _numbers(name, opened, "graph_indicator", columns=1), _numbers(name, opened, "A", columns=2)
    if indicator is None or pairs is None:
        missing = "graph_indicator" if indicator is None else "A"
        raise FileNotFoundError(f"{name}_{missing}.txt is missing: the graphs of {name} cannot be read without it")
    graph_labels = _numbers(name, opened, "graph_labels", columns=1)
    graph_of_node, nodes = indicator[:, 0] - 1, len(indicator)
    graphs = int(indicator.max(initial=0)) if graph_labels is None else len(graph_labels)
    _check_graphs(name, graph_of_node, graphs)
    edges, notes = _edges(name, pairs - 1, graph_of_node)
    unused = ["edge_labels", "edge_attributes", "graph_attributes"]
    for ending in unused if attributes else ["node_attributes", *unused]:
        if (file := opened(ending)) is not None:
            file.close()
            notes.append(f"{name}_{ending}.txt is not used")
    return TUFiles(
        name,
        graph_of_node,
        np.bincount(graph_of_node, minlength=graphs),
        edges,
        _of_nodes(name, opened, "node_labels", nodes),
        _of_nodes(name, opened, "node_attributes", nodes, kind=np.float64) if attributes else None,
        None if graph_labels is None else graph_labels[:, 0],
        notes,
    )


def _check_graphs(name: str, graph_of_node: Int[ndarray, " nodes"], graphs: int) -> None:
    if not graphs:
        raise ValueError(f"{name}_graph_indicator.txt names no graphs: it is empty, as is {name}_graph_labels.txt")
    if (line := _first((graph_of_node < 0) | (graph_of_node >= graphs))) is not None:
        raise ValueError(
            f"{name}_graph_indicator.txt, line {line + 1}: graph {graph_of_node[line] + 1}, but the graphs are 1 to "
            f"{graphs:,}"
        )
    if (line := _first(np.diff(graph_of_node) < 0)) is not None:
        raise ValueError(
            f"{name}_graph_indicator.txt, line {line + 2}: nodes must come in the order of their graphs, here one of "
            f"graph {graph_of_node[line + 1] + 1} follows one of graph {graph_of_node[line] + 1}"
        )
    if graphs > len(graph_of_node):
        raise ValueError(
            f"{name}_graph_indicator.txt names {len(graph_of_node):,} nodes for {graphs:,} graphs: "
            "leave empty graphs out"
        )


def _edges(
    name: str, pairs: Int[ndarray, "lines 2"], graph_of_node: Int[ndarray, " nodes"]
) -> tuple[Int[ndarray, "2 edges"], list[str]]:
    """The edges without loops and repeats, in ascending order, and what there is to say of them."""
    nodes, notes = len(graph_of_node), []
    if (line := _first(np.asarray(((pairs < 0) | (pairs >= nodes)).any(1)))) is not None:
        raise ValueError(f"{_edge(name, line, pairs)}, but the nodes are 1 to {nodes:,}")
    graphs = graph_of_node[pairs]
    if (line := _first(graphs[:, 0] != graphs[:, 1])) is not None:
        first, second = graphs[line] + 1
        raise ValueError(f"{_edge(name, line, pairs)} joins graph {first} and graph {second}")
    places = pairs[:, 0] * nodes + pairs[:, 1]
    # numpy's own `unique` takes far longer than a sort, and so does `isin`.
    joining = np.sort(places[pairs[:, 0] != pairs[:, 1]])
    distinct = joining[np.diff(joining, prepend=-1) > 0]
    edges = np.stack(np.divmod(distinct, nodes))
    back = np.sort(edges[1] * nodes + edges[0])
    one_way = 0 if np.array_equal(back, distinct) else np.isin(distinct, back, invert=True).sum()
    for count, total, what in (
        (len(pairs) - len(joining), len(pairs), "listed edges join a node with itself and are dropped"),
        (len(joining) - len(distinct), len(pairs), "listed edges are repeats and dropped"),
        (one_way, len(distinct), "edges are listed in one direction only and go that way only"),
    ):
        if count:
            notes.append(f"{count:,} of {total:,} {what}")
    return edges, notes


def _edge(name: str, line: int, pairs: Int[ndarray, "lines 2"]) -> str:
    return f"{name}_A.txt, line {line + 1}: an edge from node {pairs[line, 0] + 1} to node {pairs[line, 1] + 1}"


def _of_nodes(
    name: str, opened: _Open, ending: str, nodes: int, *, kind: type[np.generic] = np.int64
) -> ndarray | None:
    """The numbers of a file that has a line for each node, or None where there is none."""
    numbers = _numbers(name, opened, ending, kind=kind)
    if numbers is not None and len(numbers) != nodes:
        raise ValueError(f"{name}_{ending}.txt has {len(numbers):,} lines for {nodes:,} nodes")
    return numbers


def _numbers(
    name: str, opened: _Open, ending: str, *, columns: int | None = None, kind: type[np.generic] = np.int64
) -> ndarray | None:
    """The numbers of a file, or None where there is none.

    Args:
        name, opened, ending: which file.
        columns: how many a line must have; any where None.
        kind: of numbers, whole or not.
    """
    file = opened(ending)
    if file is None:
        return None
    what = "whole numbers" if kind is np.int64 else "numbers"
    with file, naming(Path(f"{name}_{ending}.txt"), fault=f"must hold {what}"):
        try:
            # A number too large for the kind is refused, after a warning.
            with np.errstate(invalid="ignore"):
                frame = pd.read_csv(file, header=None, dtype=kind, skipinitialspace=True)
        except pd.errors.EmptyDataError:
            return np.empty((0, columns or 1), kind)
    if columns is not None and len(frame.columns) != columns:
        raise ValueError(f"{name}_{ending}.txt has {len(frame.columns)} numbers a line, expected {columns}")
    return frame.to_numpy()


def _first(wrong: Bool[ndarray, " values"]) -> int | None:
    """The position of the first True."""
    return int(wrong.argmax()) if wrong.any() else None
