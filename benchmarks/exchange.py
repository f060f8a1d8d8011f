"""The exchange of backgrounds of a batch, against one update of SimCLR on it; both views' against one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, Step, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import SimCLR
from unconfound.views import exchange_backgrounds
from unconfound.views.backgrounds import exchanged
from unconfound.views.layers import layers_of


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    for side, count, rounds in ((32, scale.of(256, 4), 9), (scale.of(224, 32), scale.of(64, 4), 3)):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
        masks = torch.zeros(count, 1, side, side, dtype=torch.bool)
        masks[:, :, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
        edges = {"rim": 2, "soft_edge": 1.0}
        yield timed(
            f"exchange of {count} backgrounds at {side} x {side} with a rim and a soft edge, an update of SimCLR",
            partial(exchange_backgrounds, images, masks, **edges, generator=generator),
            partial(_update, Batch(images, torch.arange(count))),
            target=0.1,
            rounds=rounds,
            scale=scale,
            at_most=True,
            unit="ms",
        )
        yield timed(
            f"exchange of both views of {count} at {side} x {side}, an exchange of each view alone",
            partial(_both_views, images, masks, edges),
            partial(partial, _each_view, images, masks, edges),
            target=0.8,
            rounds=rounds,
            scale=scale,
            at_most=True,
            unit="ms",
        )


def _both_views(images: Tensor, masks: Tensor, edges: dict[str, Any]) -> list[Tensor]:
    layers = layers_of(images, masks, **edges)
    return [exchanged(layers), exchanged(layers)]


def _each_view(images: Tensor, masks: Tensor, edges: dict[str, Any]) -> list[Tensor]:
    return [exchange_backgrounds(images, masks, **edges) for _ in range(2)]


def _update(batch: Batch) -> Step:
    """One update of the demo's small network."""
    schema = Schema("images", tuple(batch.inputs.shape[1:]))  # type: ignore[union-attr]
    method = SimCLR(build_encoder("convnet", schema, width=16), schema)
    optimizer = torch.optim.AdamW(method.parameters())

    def update() -> None:
        optimizer.zero_grad()
        method(batch).loss.backward()
        optimizer.step()

    return update
