"""A data set of tiny pictures whose foreground and background are one colour each, and encoders that read either."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unconfound.data import Dataset, MemorySource, Schema

CLASSES = ("red", "green", "blue")
CENTRE = (slice(None), slice(None), slice(2, 6), slice(2, 6))


def source(name: str, labels: Tensor, foreground: Tensor, background: Tensor, *, shown=(True, True)) -> MemorySource:
    """Paint the foreground and background of each picture in the colour of a class."""
    colours = 200 * torch.eye(3, dtype=torch.uint8)
    inputs = colours[background][:, :, None, None].repeat(1, 1, 8, 8) * shown[1]
    inputs[CENTRE] = colours[foreground][:, :, None, None] * shown[0]
    groups = 2 * labels + (background != labels)
    names = tuple(f"{name}, {where} scene" for name in CLASSES for where in ("own", "other"))
    return MemorySource(name, Schema("images", (3, 8, 8), CLASSES, names), inputs, labels, groups)


def confounded(train: int = 300, test: int = 90, *, match: float = 0.9, seed: int = 0) -> Dataset:
    """In training, a background matches its foreground with probability `match`; in mixed-rand never."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(labels: Tensor) -> Tensor:
        other = (labels + torch.randint(1, 3, labels.shape, generator=generator)) % 3
        return torch.where(torch.rand(len(labels), generator=generator) < match, labels, other)

    y, t = torch.arange(train) % 3, torch.arange(test) % 3
    scenes, standing = drawn(y), drawn(t)
    return Dataset(
        train=source("train", y, y, scenes),
        labelled=source("train", y, y, scenes),
        train_foreground=source("train", y, y, scenes, shown=(True, False)),
        tests={
            "original": source("original", t, t, standing),
            "mixed-same": source("mixed-same", t, t, t),
            "mixed-rand": source("mixed-rand", t, t, (t + 1) % 3),
            "only-foreground": source("only-foreground", t, t, standing, shown=(True, False)),
            "only-background": source("only-background", t, t, standing, shown=(False, True)),
        },
    )


def read_foreground(inputs: Tensor) -> Tensor:
    return inputs[CENTRE].float().mean(dim=(2, 3)) / 200


def read_background(inputs: Tensor) -> Tensor:
    return inputs[:, :, :2].float().mean(dim=(2, 3)) / 200


def masked(source: MemorySource) -> MemorySource:
    masks = torch.zeros(len(source), 1, 8, 8, dtype=torch.bool)
    masks[CENTRE] = True
    return replace(source, masks=masks)


def masked_data() -> Dataset:
    dataset = confounded()
    train = masked(dataset.train)
    return replace(dataset, train=train, labelled=train)
