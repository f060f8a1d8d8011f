"""DACL's two mixed views of a table, against two plain copies; a DACL step against its bare network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.row import Row, median_seconds
from benchmarks.training import update_step
from unconfound.data import MemorySource, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import DACL
from unconfound.options.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.views import MixedViews

ROWS, COLUMNS = 4096, 784
BATCH = 1024  # of the recipe
SCHEMA = Schema("tables", (COLUMNS,))


def run() -> list[Row]:
    rows = torch.rand(ROWS, COLUMNS)
    views = MixedViews()

    def ours() -> torch.Tensor:
        with torch.no_grad():
            return views(rows)

    seconds, copied = median_seconds(ours, lambda: torch.cat([rows, rows]), rounds=50)
    what = f"two mixed views of {ROWS} x {COLUMNS}, against two copies"
    measured = [Row(what, 1e3 * seconds, 1e3 * copied, seconds / copied, 1.3, "ms", at_most=True)]
    for parts, heads in (("its network", True), ("its encoder alone, without the head", False)):
        step, bare = _step(), _bare(heads=heads)
        seconds, alone = median_seconds(step, bare, rounds=5)
        what = f"DACL step, 12 layers of 512, batch {BATCH}, x {parts}"
        measured.append(Row(what, seconds, alone, seconds / alone, 1.05, "s", at_most=True))
    return measured


def _method() -> DACL:
    return DACL(build_encoder("mlp", SCHEMA, width=512, depth=12), SCHEMA)


def _step() -> Callable[[], None]:
    source = MemorySource("noise", SCHEMA, torch.rand(2 * BATCH, COLUMNS))
    return update_step(_method(), source, TrainingOptions(precision="32"), batch_size=BATCH)


def _bare(*, heads: bool) -> Callable[[], None]:
    """The same network, forward and backward on views that lie ready."""
    fabric = make_fabric(TrainingOptions(precision="32"), phases=1)
    method = _method()
    network = (nn.Sequential(method.encoder, method.head) if heads else method.encoder).to(fabric.device)
    views = torch.rand(2 * BATCH, COLUMNS, device=fabric.device)

    def step() -> None:
        network(views).square().mean().backward()
        network.zero_grad()

    return step


if __name__ == "__main__":
    print(*run(), sep="\n")
