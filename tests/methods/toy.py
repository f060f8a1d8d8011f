"""Tiny data that the tests of methods share."""

from __future__ import annotations

from dataclasses import replace

import torch

from unconfound.data import Batch, Graphs, MemorySource, Schema, Sequences
from unconfound.encoders import build_encoder

IMAGES = Schema("images", (3, 8, 8), ("a", "b", "c"))
GROUPED = Schema("images", (3, 8, 8), ("a", "b", "c"), ("left", "right", "up", "down"))
ROWS = Schema("tables", (5,), ("no", "yes"))
GRAPHS = Schema("graphs", (2,), ("a", "b"))
SERIES = Schema("series", (3,), ("a", "b"))
TEXT = Schema("text", (11,), ("a", "b"))


def image_batch(size=6, *, seed=0, labelled=True):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (size, 3, 8, 8), generator=generator).to(torch.uint8)
    return Batch(inputs, torch.arange(size), torch.arange(size) % 3 if labelled else None)


def grouped_batch(size=12, *, seed=0):
    """Images of the groups 0, 1 and 2, of GROUPED's four."""
    batch = image_batch(size, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    return replace(batch, groups=torch.randint(3, (size,), generator=generator))


def grouped_source(samples=64):
    batch = grouped_batch(samples)
    return MemorySource("toys", GROUPED, batch.inputs, batch.labels, batch.groups)


def spurious_source(samples=400, *, minority=0.1, seed=0):
    """Rows whose first column tells the class weakly, and whose second one strongly, but wrongly for a minority.

    The groups are those of class and second column: 0 and 3 are the majority.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (samples,), generator=generator)
    wrong = torch.rand(samples, generator=generator) < minority
    given = torch.where(wrong, 1 - labels, labels)
    noise = torch.randn(samples, 5, generator=generator)
    signs = torch.stack([labels, given], 1) * 2 - 1
    inputs = torch.cat([signs * torch.tensor([1.0, 3.0]) + noise[:, :2] * torch.tensor([1.0, 0.5]), noise[:, 2:]], 1)
    schema = Schema("tables", (5,), ("no", "yes"), ("no-", "no+", "yes-", "yes+"))
    return MemorySource("spurious", schema, inputs, labels, 2 * labels + given)


def row_batch(size=6, *, seed=0):
    inputs = torch.randn(size, 5, generator=torch.Generator().manual_seed(seed))
    return Batch(inputs, torch.arange(size), torch.arange(size) % 2)


def image_source(samples=64):
    return MemorySource("toys", IMAGES, image_batch(samples).inputs, torch.arange(samples) % 3)


def convnet(schema=IMAGES, *, seed=0):
    torch.manual_seed(seed)
    return build_encoder("convnet", schema, width=4, depth=2)


def mlp(*, seed=0):
    torch.manual_seed(seed)
    return build_encoder("mlp", ROWS, width=8, depth=2)


def graph_batch(graphs=5, *, seed=0):
    """Rings of 3, 4, ... nodes."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.arange(graphs) + 3
    first = sizes.cumsum(0) - sizes
    ring = torch.cat([torch.arange(size) for size in sizes])
    target = (ring + 1) % sizes.repeat_interleave(sizes) + first.repeat_interleave(sizes)
    source = ring + first.repeat_interleave(sizes)
    edges = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    nodes = torch.rand(int(sizes.sum()), 2, generator=generator)
    return Batch(Graphs(nodes, edges, sizes), torch.arange(graphs), torch.arange(graphs) % 2)


def series_batch(samples=5):
    values = torch.rand(samples, 8, 3, generator=torch.Generator().manual_seed(0))
    return Batch(Sequences(values, torch.arange(samples) % 6 + 2), torch.arange(samples))


def text_batch(samples=5):
    values = torch.randint(2, 11, (samples, 7), generator=torch.Generator().manual_seed(0))
    return Batch(Sequences(values, torch.arange(samples) % 6 + 1), torch.arange(samples))


def rows_batch(samples=6):
    return Batch(torch.rand(samples, 5, generator=torch.Generator().manual_seed(0)), torch.arange(samples))


def small(schema):
    torch.manual_seed(0)
    return build_encoder("auto", schema, width=8, depth=2)


# modality: (encoder, schema, batch of so many samples)
MODALITIES = {
    "images": (convnet, IMAGES, image_batch),
    "tables": (mlp, ROWS, rows_batch),
    "graphs": (lambda: small(GRAPHS), GRAPHS, graph_batch),
    "series": (lambda: small(SERIES), SERIES, series_batch),
    "text": (lambda: small(TEXT), TEXT, text_batch),
}
