"""Tiny data and networks that the tests of training share."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.encoders import Encoder, Normalized, build_encoder
from unconfound.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.training.loop import Listener

QUIET = {"device": "cpu", "precision": "32", "warmup_epochs": 0.0}


def image_source(samples=64, *, size=8, classes=2):
    """Noise in uint8 whose colour tells the class."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(samples) % classes
    inputs = torch.randint(0, 120, (samples, 3, size, size), generator=generator)
    inputs[torch.arange(samples), labels % 3] += 100
    names = tuple("abcdefgh"[:classes])
    return MemorySource("toys", Schema("images", (3, size, size), names), inputs.to(torch.uint8), labels)


def masked_source(samples=48, *, size=8):
    """Those images with a square foreground each, at one of four places."""
    source = image_source(samples, size=size)
    masks = torch.zeros(samples, 1, size, size, dtype=torch.bool)
    for place in range(4):
        top, left = 1 + 2 * (place // 2), 1 + 2 * (place % 2)
        masks[place::4, :, top : top + 4, left : left + 4] = True
    return replace(source, masks=masks)


def row_source(samples=64, *, columns=6):
    """Rows in float64 whose first columns' signs tell the class."""
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(samples, columns, generator=generator, dtype=torch.float64)
    return MemorySource("rows", Schema("tables", (columns,), ("no", "yes")), inputs, (inputs[:, 0] > 0).long())


def graph_source(graphs=48):
    """Rings of 3 to 6 nodes of two kinds: processes hold unequal numbers of nodes."""
    sizes = 3 + torch.arange(graphs) % 4
    ring = torch.cat([torch.arange(size) for size in sizes])
    after = (ring + 1) % sizes.repeat_interleave(sizes)
    edges = torch.stack([torch.stack([ring, after]), torch.stack([after, ring])], 2).flatten(1)
    codes = torch.randint(2, (len(ring),), generator=torch.Generator().manual_seed(7))
    schema = Schema("graphs", (2,), ("a", "b"))
    return GraphSource("rings", schema, codes, edges, sizes=sizes, edge_counts=2 * sizes, labels=sizes % 2)


def text_source(texts=48):
    """Texts of 2 to 6 tokens."""
    lengths = 2 + torch.arange(texts) % 5
    tokens = torch.randint(2, 11, (int(lengths.sum()),), generator=torch.Generator().manual_seed(8))
    return SequenceSource("texts", Schema("text", (11,), ("a", "b")), tokens, lengths, labels=lengths % 2)


def dataset_of(source):
    return Dataset(train=source, tests={"test": source}, labelled=None if source.labels is None else source)


def convnet(source, *, width=4, depth=2, seed=0) -> Encoder:
    torch.manual_seed(seed)
    return build_encoder("convnet", source.schema, width=width, depth=depth)


class Sums(torch.nn.Module):
    """A linear map without BatchNorm, for sums that can be done by hand."""

    def __init__(self, columns, features):
        super().__init__()
        self.features = features
        self.linear = torch.nn.Linear(columns, features)

    def forward(self, rows):
        return self.linear(rows.flatten(1))


def linear_encoder(columns=6, features=5, *, seed=0) -> Encoder:
    torch.manual_seed(seed)
    architecture = {"name": "mlp", "shape": [columns], "modality": "tables"}
    network = Normalized(Sums(columns, features), mean=torch.zeros(columns), deviation=torch.ones(columns))
    return Encoder(network, architecture=architecture)


def options(**changes) -> TrainingOptions:
    return TrainingOptions(**{**QUIET, "epochs": 2, "batch_size": 16, **changes})


def fabric_for(method, training: TrainingOptions) -> Fabric:
    return make_fabric(training, phases=len(method.phases()))


class Recorder:
    """A listener that keeps all it is told, and asks to stop after `stop_after` questions."""

    def __init__(self, *, stop_after=None):
        self.saved, self.rows, self.alarms, self.asked = [], [], [], 0
        self.stop_after = stop_after
        self.listener = Listener(
            save=lambda position, state: self.saved.append((position, copied(state))),
            row=self.rows.append,
            alarm=self.alarms.append,
            stop=self._stop,
            bar=None,
        )

    def _stop(self):
        self.asked += 1
        return self.asked == self.stop_after


def copied(tree):
    if isinstance(tree, torch.Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list | tuple) else tree


def same(first, second) -> bool:
    """Equal bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return first == second


def weights(method) -> dict[str, torch.Tensor]:
    return copied(dict(method.state_dict()))


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def checkpoint(run: Path):
    return torch.load(run / "checkpoint" / "state.pt", weights_only=True)
