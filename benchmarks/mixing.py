"""DACL's two mixed views of a table, against two plain copies; a DACL step against its bare network."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.measure import WHOLE, Scale, timed
from benchmarks.row import LeftOut, Row
from benchmarks.training import update_step
from unconfound.data import MemorySource, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import DACL
from unconfound.options.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.views import MixedViews

COLUMNS = 784
SCHEMA = Schema("tables", (COLUMNS,))


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    rows = torch.rand(scale.of(4096, 64), COLUMNS)
    views = MixedViews()

    def ours() -> torch.Tensor:
        with torch.no_grad():
            return views(rows)

    yield timed(
        f"two mixed views of {len(rows)} x {COLUMNS}, against two copies",
        ours,
        lambda: lambda: torch.cat([rows, rows]),
        target=1.3,
        rounds=50,
        scale=scale,
        at_most=True,
        unit="ms",
    )
    batch, depth = scale.of((1024, 12), (16, 2))  # those of the recipe
    for parts, heads in (("its network", True), ("its encoder alone, without the head", False)):
        yield timed(
            f"DACL step, {depth} layers of 512, batch {batch}, x {parts}",
            _step(batch, depth),
            lambda heads=heads: _bare(batch, depth, heads=heads),
            target=1.05,
            rounds=5,
            scale=scale,
            at_most=True,
        )


def _method(depth: int) -> DACL:
    return DACL(build_encoder("mlp", SCHEMA, width=512, depth=depth), SCHEMA)


def _step(batch: int, depth: int) -> Callable[[], None]:
    source = MemorySource("noise", SCHEMA, torch.rand(2 * batch, COLUMNS))
    return update_step(_method(depth), source, TrainingOptions(precision="32"), batch_size=batch)


def _bare(batch: int, depth: int, *, heads: bool) -> Callable[[], None]:
    """The same network, forward and backward on views that lie ready."""
    fabric = make_fabric(TrainingOptions(precision="32"), phases=1)
    method = _method(depth)
    network = (nn.Sequential(method.encoder, method.head) if heads else method.encoder).to(fabric.device)
    views = torch.rand(2 * batch, COLUMNS, device=fabric.device)

    def step() -> None:
        network(views).square().mean().backward()
        network.zero_grad()

    return step
