"""The text files of a TU set, as arrays whose every reference has been checked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray

# Opens the file of this ending, or gives None where there is none.
_Open = Callable[[str], IO[bytes] | None]


@dataclass(frozen=True)
class TUFiles:
    """A set of graphs as its files have it.

    Args:
        name: of the set.
        graph_of_node: from 0, ascending.
        sizes: nodes of each graph.
        edges: source and target of each edge among all nodes, from 0, without repeats, ascending.
        node_labels, graph_labels: None where there is no such file.
        notes: what was dropped or is not used.
    """

    name: str
    graph_of_node: Int[ndarray, " nodes"]
    sizes: Int[ndarray, " graphs"]
    edges: Int[ndarray, "2 edges"]
    node_labels: Int[ndarray, " nodes"] | None
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


def read_tu_files(folder: Path, name: str) -> TUFiles:
    """Read the files of a set from the folder that they lie in.

    Raises:
        FileNotFoundError: edges or graph indicator are missing.
        ValueError: damaged files; the message names the file and the line.
    """

    def opened(ending: str) -> IO[bytes] | None:
        file = folder / f"{name}_{ending}.txt"
        return file.open("rb") if file.is_file() else None

    return _read(name, opened)


def tu_archive(path: Path, name: str) -> TUFiles:
    """Read the files of a set from a zip file, in whatever folder of it they lie.

    Raises:
        FileNotFoundError, ValueError: as `read_tu_files`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(member).name: member for member in archive.namelist()}

            def opened(ending: str) -> IO[bytes] | None:
                member = members.get(f"{name}_{ending}.txt")
                return None if member is None else archive.open(member)

            return _read(name, opened)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _read(name: str, opened: _Open) -> TUFiles:
    indicator, pairs = _numbers(name, opened, "graph_indicator"), _numbers(name, opened, "A", columns=2)
    if indicator is None or pairs is None:
        missing = "graph_indicator" if indicator is None else "A"
        raise FileNotFoundError(f"{name}_{missing}.txt is missing: the graphs of {name} cannot be read without it")
    graph_labels, node_labels = (_numbers(name, opened, ending) for ending in ("graph_labels", "node_labels"))
    graph_of_node = indicator[:, 0] - 1
    nodes, graphs = len(indicator), int(indicator.max(initial=0)) if graph_labels is None else len(graph_labels)
    if not graphs:
        raise ValueError(f"{name} holds no graphs: its files are empty")
    if node_labels is not None and len(node_labels) != nodes:
        raise ValueError(f"{name}_node_labels.txt has {len(node_labels):,} lines for {nodes:,} nodes")
    if (line := _first((graph_of_node < 0) | (graph_of_node >= graphs))) is not None:
        raise ValueError(
            f"{name}_graph_indicator.txt, line {line + 1}: graph {indicator[line, 0]}, but the graphs are 1 to "
            f"{graphs:,}"
        )
    if (line := _first(np.diff(graph_of_node) < 0)) is not None:
        raise ValueError(
            f"{name}_graph_indicator.txt, line {line + 2}: nodes must come in the order of their graphs, here one of "
            f"graph {indicator[line + 1, 0]} follows one of graph {indicator[line, 0]}"
        )
    edges, notes = _edges(name, pairs - 1, graph_of_node), []
    if len(pairs) > edges.shape[1]:
        notes.append(f"{len(pairs) - edges.shape[1]:,} of {len(pairs):,} listed edges are repeats and dropped")
    for ending in ("node_attributes", "edge_labels", "edge_attributes", "graph_attributes"):
        if (file := opened(ending)) is not None:
            file.close()
            notes.append(f"{name}_{ending}.txt is not used")
    return TUFiles(
        name,
        graph_of_node,
        np.bincount(graph_of_node, minlength=graphs),
        edges,
        None if node_labels is None else node_labels[:, 0],
        None if graph_labels is None else graph_labels[:, 0],
        notes,
    )


def _edges(name: str, pairs: Int[ndarray, "lines 2"], graph_of_node: Int[ndarray, " nodes"]) -> Int[ndarray, "2 edges"]:
    nodes = len(graph_of_node)
    if (line := _first(np.asarray(((pairs < 0) | (pairs >= nodes)).any(1)))) is not None:
        raise ValueError(f"{_edge(name, line, pairs)}, but the nodes are 1 to {nodes:,}")
    graphs = graph_of_node[pairs]
    if (line := _first(graphs[:, 0] != graphs[:, 1])) is not None:
        first, second = graphs[line] + 1
        raise ValueError(f"{_edge(name, line, pairs)} joins graph {first} and graph {second}")
    # numpy's own `unique` takes far longer.
    places = np.sort(pairs[:, 0] * nodes + pairs[:, 1])
    is_new = np.diff(places, prepend=-1) > 0
    return np.stack(np.divmod(places[is_new], nodes))


def _edge(name: str, line: int, pairs: Int[ndarray, "lines 2"]) -> str:
    return f"{name}_A.txt, line {line + 1}: an edge from node {pairs[line, 0] + 1} to node {pairs[line, 1] + 1}"


def _numbers(name: str, opened: _Open, ending: str, *, columns: int = 1) -> Int[ndarray, "lines columns"] | None:
    """The whole numbers of a file, or None where there is none."""
    file = opened(ending)
    if file is None:
        return None
    try:
        with file:
            frame = pd.read_csv(file, header=None, dtype=np.int64, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        return np.empty((0, columns), np.int64)
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{name}_{ending}.txt must hold whole numbers: {reason}") from error
    if len(frame.columns) != columns:
        raise ValueError(f"{name}_{ending}.txt has {len(frame.columns)} numbers a line, expected {columns}")
    return frame.to_numpy()


def _first(wrong: Bool[ndarray, " values"]) -> int | None:
    """The position of the first True."""
    return int(wrong.argmax()) if wrong.any() else None
