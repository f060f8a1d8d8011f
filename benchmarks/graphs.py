"""A DACL epoch on IMDB-BINARY against the same model in PyG, and batches of graphs against PyG's DataLoader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.row import Row, median_seconds
from unconfound.data import Batch, Graphs, Source
from unconfound.data.tu import tu_set
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.methods import DACL
from unconfound.options.training import TrainingOptions
from unconfound.training.optimizers import build_optimizer

BATCH = 128
WIDTH, DEPTH = 512, 4
Batches = Callable[[], Iterable[Batch]]


def run() -> list[Row]:
    root = os.environ.get("UNCONFOUND_DATA")
    if root is None:
        print("  left out: UNCONFOUND_DATA does not name the folder that holds IMDB-BINARY")
        return []
    source = tu_set("IMDB-BINARY", Path(root)).train
    loader = _loader(source)

    def ours() -> Iterator[Batch]:
        order = torch.randperm(len(source))[: len(source) // BATCH * BATCH]
        return source.batches(order.split(BATCH))

    def theirs() -> Iterator[Batch]:
        return map(_batch, loader)

    dacl, peer, other_dacl = _dacl(source), _dacl(source), _dacl(source)
    peer.encoder.network = PyGNetwork(source.schema.shape[0]).to(choose_device("auto"))
    epoch = _epoch(dacl, ours, _optimizer(dacl))
    ready = list(ours())
    rows = []
    for what, other, target, at_most in (
        ("against PyG's GINConv and DataLoader", _epoch(peer, theirs, torch.optim.Adam(peer.parameters())), 3, False),
        ("against our encoder and PyG's DataLoader", _epoch(other_dacl, theirs, _optimizer(other_dacl)), 1, False),
        ("x bare encoder and head", _bare(dacl, ready), 1.05, True),
    ):
        seconds, others = median_seconds(epoch, other, rounds=3)
        ratio = seconds / others if at_most else others / seconds
        name = f"DACL epoch, IMDB-BINARY, batch {BATCH}, {what}"
        rows.append(Row(name, seconds, others, ratio, target, "s", at_most=at_most))
    seconds, others = median_seconds(lambda: list(ours()), lambda: list(theirs()), rounds=5)
    name = "an epoch's batches of IMDB-BINARY alone, against PyG's DataLoader"
    rows.append(Row(name, 1e3 * seconds, 1e3 * others, others / seconds, 5, "ms"))
    return rows


class PyGNetwork(nn.Module):
    """The encoder of the same layers and widths, of PyG's parts."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        from torch_geometric.nn import GINConv

        self.features = WIDTH * DEPTH
        self.convolutions = nn.ModuleList(
            GINConv(nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after), nn.ReLU()))
            for before, after in pairwise([columns, *[WIDTH] * DEPTH])
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in range(DEPTH))

    def forward(self, graphs: Graphs) -> Tensor:
        from torch_geometric.nn import global_add_pool

        nodes, graph_of_node, pooled = graphs.nodes, graphs.graph_of_node(), []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            nodes = norm(convolution(nodes, graphs.edges))
            pooled.append(global_add_pool(nodes, graph_of_node))
        return torch.cat(pooled, 1)


def _dacl(source: Source) -> DACL:
    method = DACL(build_encoder("gin", source.schema, width=WIDTH, depth=DEPTH), source.schema)
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


def _loader(source: Source) -> Iterable[Any]:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    graphs = [
        Data(x=single.inputs.nodes, edge_index=single.inputs.edges)
        for single in source.batches(torch.arange(len(source)).split(1))
        if isinstance(single.inputs, Graphs)
    ]
    loader: Iterable[Any] = DataLoader(graphs, batch_size=BATCH, shuffle=True, drop_last=True)
    return loader


def _batch(joined: Any) -> Batch:
    return Batch(Graphs(joined.x, joined.edge_index, joined.ptr.diff()), torch.arange(joined.num_graphs))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    print(*run(), sep="\n")
