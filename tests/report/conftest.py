"""A small confounded data set, and encoders of it that were never trained."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report import Entry
from unconfound.report.evaluated_sets import CROSS_VALIDATION, evaluated_sources

TESTS = ("original", "mixed-same", "mixed-rand", "only-foreground", "only-background")


def share(value: float, half: float = 0.02) -> Figure:
    return Figure(value, value - half, value + half, 400)


def _images(labels: Tensor, scenes: Tensor, classes: int, size: int) -> Tensor:
    """Squares whose place is their class, on plain colours that are their scene."""
    colours = torch.linspace(30, 220, classes)[:, None] + torch.tensor([0.0, 20.0, -20.0])
    images = colours[scenes][:, :, None, None].expand(-1, -1, size, size).clone()
    for row, label in enumerate(labels.tolist()):
        place = round(label * (size - 4) / max(1, classes - 1))
        images[row, :, 3:7, place : place + 4] = 250
    return images.round().to(torch.uint8)


@pytest.fixture
def picture_data() -> Callable[..., Dataset]:
    """Return a maker of images with all five test sets, or with one test set and no masks."""

    def make(
        *, classes: int = 4, each: int = 6, size: int = 16, swaps: bool = True, names: list[str] | None = None
    ) -> Dataset:
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(classes).repeat(each)
        scenes = torch.randint(classes, labels.shape, generator=generator)
        classes_named = tuple(names or [f"class {label}" for label in range(classes)])
        groups = tuple(f"{name}, {match} scene" for name in classes_named for match in ("own", "other"))
        schema = Schema("images", (3, size, size), classes_named, groups)

        def source(name: str, standing: Tensor) -> MemorySource:
            return MemorySource(
                name,
                schema,
                _images(labels, standing, classes, size),
                labels,
                2 * labels + (scenes != labels).long(),
                torch.ones(len(labels), 1, size, size, dtype=torch.bool) if swaps else None,
            )

        tests = {name: source(name, scenes) for name in (TESTS if swaps else ("test",))}
        return Dataset(source("squares", labels), tests)

    return make


@pytest.fixture
def table_data() -> Dataset:
    """Rows of ten columns in two classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    schema = Schema("tables", (10,), ("low", "high"), ("low, sex=f", "low, sex=m", "high, sex=f", "high, sex=m"))

    def source(name: str) -> MemorySource:
        rows = torch.rand(40, 10, generator=generator) + labels[:, None]
        return MemorySource(
            name,
            schema,
            rows,
            labels,
            2 * labels + torch.arange(40) // 2 % 2,
            names=[f"row {i}" for i in range(40)],
        )

    return Dataset(source("incomes"), {"test": source("test")})


@pytest.fixture
def graph_data() -> Dataset:
    """Rings and stars of 3 to 12 nodes of three kinds, without a test set."""
    sizes = torch.arange(20) % 10 + 3
    labels = torch.arange(20) % 2
    edges = []
    for size, label in zip(sizes.tolist(), labels.tolist(), strict=True):
        there = torch.stack([torch.arange(size), (torch.arange(size) + 1) % size])
        if label:
            there = torch.stack([torch.zeros(size - 1, dtype=torch.long), torch.arange(1, size)])
        edges.append(torch.cat([there, there.flip(0)], 1))
    source = GraphSource(
        "molecules",
        Schema("graphs", (3,), ("ring", "star")),
        torch.arange(int(sizes.sum())) % 3,
        torch.cat(edges, 1),
        sizes=sizes,
        edge_counts=torch.tensor([each.shape[1] for each in edges]),
        labels=labels,
        names=[f"molecule {place}" for place in range(20)],
    )
    return Dataset(source, {}, labelled=source)


@pytest.fixture
def text_data() -> Dataset:
    """Twelve texts, one of them long, one with markup in it."""
    texts = [f"question {place}: is it so?" for place in range(12)]
    texts[0], texts[1] = "many words " * 100, "<b>bold</b> & <script>alert(1)</script>"

    def source(name: str) -> SequenceSource:
        schema = Schema("text", (30,), ("why", "what"))
        lengths, labels = torch.arange(12) + 1, torch.arange(12) % 2
        return SequenceSource(name, schema, torch.arange(78) % 30, lengths, labels=labels, texts=texts)

    return Dataset(source("questions"), {"test": source("test")})


@pytest.fixture
def series_data() -> Callable[..., Dataset]:
    """Return a maker of waves of one to twelve steps."""

    def make(*, channels: int) -> Dataset:
        generator = torch.Generator().manual_seed(0)

        def source(name: str) -> SequenceSource:
            schema = Schema("series", (channels,), ("slow", "fast"))
            values = torch.randn(78, channels, generator=generator)
            return SequenceSource(name, schema, values, torch.arange(12) + 1, labels=torch.arange(12) % 2)

        return Dataset(source("waves"), {"test": source("test")})

    return make


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Return a maker of an encoder that sees the class and a little noise."""

    def make(name: str, dataset: Dataset, *, gap: float | None = 0.3, curves: bool = True, seed: int = 0) -> Entry:
        generator = torch.Generator().manual_seed(seed)
        embeddings = {}
        judged = evaluated_sources(dataset)
        for test, source in judged.items():
            assert source.labels is not None
            features = torch.cat([one_hot(source.labels).float(), torch.zeros(len(source), 3)], 1)
            features = features + 0.2 * torch.randn(features.shape, generator=generator)
            embeddings["train" if test == CROSS_VALIDATION else test] = Embeddings(
                features, torch.arange(len(source)), source.labels, source.groups, source.names
            )
        swapped = "mixed-rand" in dataset.tests and gap is not None
        metrics = {"linear_probe": share(0.8), "knn": share(0.7), "precision_at_1": share(0.65)}
        if dataset.tests:
            metrics |= {"worst_group": share(0.4), "average_group": share(0.75)}
        else:
            metrics["svm"] = share(0.77)
        evaluation = Evaluation(
            name,
            dict.fromkeys(judged, metrics),
            {
                next(iter(judged)): {
                    group: share(0.5 + place / (3 * len(dataset.train.schema.groups)))
                    for place, group in enumerate(dataset.train.schema.groups)
                }
            },
            {"background_gap": share(gap or 0), "background_gap_knn": share(gap or 0)} if swapped else {},
            {f"{a}/{b}": share(0.6) for a in ("full", "foreground") for b in ("full", "foreground")} if swapped else {},
            {"neighbours": 5, "seconds": {"embed": 0.25}} | ({} if dataset.tests else {"folds": 10, "repeats": 5}),
            (f"a note on {name}",),
        )
        steps = np.arange(1, 400)
        frame = pd.DataFrame(
            {
                "epoch": steps // 100,
                "step": steps,
                "phase": np.where(steps % 2, "encoder", "weights"),
                "loss": np.where(steps == 7, np.nan, 2 / np.sqrt(steps)),
                "learning_rate": 1e-3,
                "effective_rank": np.where(steps % 2, 9.0, np.nan),
            }
        )
        return Entry(evaluation, embeddings, frame if curves else None, facts={"epochs": "4"})

    return make
