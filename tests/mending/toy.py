"""Pictures of one colour on another, with their masks, and encoders that see both."""

from __future__ import annotations

from dataclasses import replace

import torch
from evaluation.toy import CENTRE, confounded, read_background, read_foreground
from torch import Tensor, nn

from unconfound.data import Dataset, MemorySource


def masked(source: MemorySource) -> MemorySource:
    masks = torch.zeros(len(source), 1, 8, 8, dtype=torch.bool)
    masks[CENTRE] = True
    return replace(source, masks=masks)


def masked_data() -> Dataset:
    dataset = confounded()
    train = masked(dataset.train)
    return replace(dataset, train=train, labelled=train)


def read_both(inputs: Tensor) -> Tensor:
    """The foreground's colour, the background's louder, and some of both mixed."""
    foreground, background = read_foreground(inputs), read_background(inputs)
    return torch.cat([foreground, 3 * background, foreground + background], 1)


def of_backgrounds() -> nn.Linear:
    """A classifier of what `read_both` gives that looks at the background alone."""
    linear = nn.Linear(9, 3)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:, 3:6] = torch.eye(3)
        linear.bias.zero_()
    return linear
