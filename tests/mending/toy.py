"""An encoder that sees both colours of a picture, and a classifier that goes by one."""

from __future__ import annotations

import torch
from evaluation.toy import read_background, read_foreground
from torch import Tensor, nn


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
