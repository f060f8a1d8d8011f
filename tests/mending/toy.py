"""An encoder that sees both colours of a picture, and a classifier that goes by one; and rows with a nuisance."""

from __future__ import annotations

import torch
from evaluation.toy import masked_data, read_background, read_foreground
from torch import Tensor, nn

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.exchanged import exchanged_tests
from unconfound.data.tables.nuisance_columns import NuisanceColumns
from unconfound.evaluation.embed import embed
from unconfound.evaluation.embeddings import Embeddings
from unconfound.mending.held_out import divided


def read_both(inputs: Tensor) -> Tensor:
    """The foreground's colour, the background's louder, and some of both mixed."""
    foreground, background = read_foreground(inputs), read_background(inputs)
    return torch.cat([foreground, 3 * background, foreground + background], 1)


def held_out() -> dict[str, Embeddings]:
    """Embeddings of held-out images, by which a classifier is chosen."""
    return {name: embed(read_both, each) for name, each in divided(masked_data(), seed=0).held_out.items()}


def of_backgrounds() -> nn.Linear:
    """A classifier of what `read_both` gives that looks at the background alone."""
    linear = nn.Linear(9, 3)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[:, 3:6] = torch.eye(3)
        linear.bias.zero_()
    return linear


NUISANCE = NuisanceColumns("the column site", torch.tensor([False, True]))


def row_data() -> Dataset:
    """Rows of a sign that tells the class, and of a site that tells it nine times in ten in training and in testing."""

    def source(name: str, count: int, seed: int) -> MemorySource:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 2
        told = torch.where(torch.rand(count, generator=generator) < 0.9, labels, 1 - labels)
        inputs = torch.stack([2.0 * labels - 1, 2.0 * told - 1], 1)
        return MemorySource(name, Schema("tables", (2,), ("ill", "well")), inputs, labels, nuisance=NUISANCE)

    train = source("rows", 300, 0)
    return Dataset(train=train, labelled=train, tests=exchanged_tests(source("test rows", 200, 1)))


def read_rows(inputs: Tensor) -> Tensor:
    """The sign, the site louder, and some of both mixed."""
    sign, site = inputs.unbind(1)
    return torch.stack([sign, 3 * site, sign + site], 1)


def of_sites() -> nn.Linear:
    """A classifier of what `read_rows` gives that looks at the site alone."""
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, -1, 0], [0, 1, 0]]))
        linear.bias.zero_()
    return linear
