"""A DACL epoch on IMDB-BINARY against the same model in PyG, and batches of graphs against PyG's DataLoader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import WHOLE, Scale, Step, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Graphs, Schema, Source
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.graphs.tu import tu_set
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.methods import DACL
from unconfound.options.training import TrainingOptions
from unconfound.training.optimizers import build_optimizer

Batches = Callable[[], Iterable[Batch]]


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    if scale.tiny:
        source, batch, layers = _made_up(), 4, (8, 2)
    else:
        root = os.environ.get("UNCONFOUND_DATA")
        if root is None:
            yield LeftOut("graphs", "UNCONFOUND_DATA does not name the folder that holds IMDB-BINARY")
            return
        source, batch, layers = tu_set("IMDB-BINARY", Path(root)).train, 128, (512, 4)

    def ours() -> Iterator[Batch]:
        order = torch.randperm(len(source))[: len(source) // batch * batch]
        return source.batches(order.split(batch))

    @cache
    def loader() -> Iterable[Any]:
        return _loader(source, batch)

    def theirs() -> Iterator[Batch]:
        return map(_batch, loader())

    def of_pyg() -> Step:
        peer = _dacl(source, layers)
        peer.encoder.network.network = PyGNetwork(source.schema.shape[0], *layers).to(choose_device("auto"))
        return _epoch(peer, theirs, torch.optim.Adam(peer.parameters()))

    def fed_by_pyg() -> Step:
        loader()
        other = _dacl(source, layers)
        return _epoch(other, theirs, _optimizer(other))

    dacl = _dacl(source, layers)
    epoch = _epoch(dacl, ours, _optimizer(dacl))
    ready = list(ours())
    for what, other, target, at_most in (
        ("against PyG's GINConv and DataLoader", of_pyg, 3, False),
        ("against our encoder and PyG's DataLoader", fed_by_pyg, 1, False),
        ("x bare encoder and head", lambda: _bare(dacl, ready), 1.05, True),
    ):
        name = f"DACL epoch, {source.name}, batch {batch}, {what}"
        yield timed(name, epoch, other, target=target, rounds=3, scale=scale, at_most=at_most)
    yield timed(
        f"an epoch's batches of {source.name} alone, against PyG's DataLoader",
        lambda: list(ours()),
        lambda: loader() and (lambda: list(theirs())),
        target=5,
        rounds=5,
        scale=scale,
        unit="ms",
    )


def _made_up() -> Source:
    """Eight triangles."""
    corners = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
    each = {"sizes": torch.full((8,), 3), "edge_counts": torch.full((8,), 6)}
    return GraphSource("triangles", Schema("graphs", (1,)), torch.ones(24, 1), corners.repeat(1, 8), **each)


class PyGNetwork(nn.Module):
    """The encoder of the same layers and widths, of PyG's parts."""

    def __init__(self, columns: int, width: int, depth: int) -> None:
        super().__init__()
        from torch_geometric.nn import GINConv

        self.features = width * depth
        self.convolutions = nn.ModuleList(
            GINConv(nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after), nn.ReLU()))
            for before, after in pairwise([columns, *[width] * depth])
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))

    def forward(self, graphs: Graphs) -> Tensor:
        from torch_geometric.nn import global_add_pool

        nodes, graph_of_node, pooled = graphs.nodes, graphs.graph_of_node(), []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            nodes = norm(convolution(nodes, graphs.edges))
            pooled.append(global_add_pool(nodes, graph_of_node))
        return torch.cat(pooled, 1)


def _dacl(source: Source, layers: tuple[int, int]) -> DACL:
    width, depth = layers
    method = DACL(build_encoder("gin", source.schema, width=width, depth=depth), source.schema)
    return method.to(choose_device("auto"))


def _optimizer(method: DACL) -> torch.optim.Optimizer:
    """The one that `fit` uses."""
    return build_optimizer(method.phases()[0], TrainingOptions())


def _epoch(method: DACL, batches: Batches, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    device = choose_device("auto")

    def epoch() -> None:
        for batch in batches():
            optimizer.zero_grad()
            method(Batch(batch.inputs.to(device), batch.index.to(device))).loss.backward()
            optimizer.step()
        _wait()

    return epoch


def _bare(method: DACL, ready: list[Batch]) -> Callable[[], None]:
    """Encoder, and head on two rows a graph, forward and backward, on batches that lie ready."""
    inputs = [batch.inputs.to(choose_device("auto")) for batch in ready]

    def epoch() -> None:
        for graphs in inputs:
            embeddings = method.encoder(graphs)
            method.head(torch.cat([embeddings, embeddings])).square().mean().backward()
            method.zero_grad()
        _wait()

    return epoch


def _loader(source: Source, batch: int) -> Iterable[Any]:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    graphs = [
        Data(x=single.inputs.nodes, edge_index=single.inputs.edges)
        for single in source.batches(torch.arange(len(source)).split(1))
        if isinstance(single.inputs, Graphs)
    ]
    loader: Iterable[Any] = DataLoader(graphs, batch_size=batch, shuffle=True, drop_last=True)
    return loader


def _batch(joined: Any) -> Batch:
    return Batch(Graphs(joined.x, joined.edge_index, joined.ptr.diff()), torch.arange(joined.num_graphs))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
