"""A step of DCML against one of CosFace through the same gates, branches and heads, without environments."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.row import Row, median_seconds
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.methods import DCML
from unconfound.options.methods.dcml import DCMLOptions

DEVICE = choose_device("auto")
BATCH, CLASSES, SAMPLES = 32, 60, 512
SCHEMA = Schema("images", (3, 64, 64), tuple(str(number) for number in range(CLASSES)))


def run() -> list[Row]:
    rows = []
    for form in ("code", "paper"):
        torch.manual_seed(0)
        method = DCML(build_encoder("resnet18", SCHEMA), SCHEMA, DCMLOptions(form=form)).to(DEVICE)
        method.environment_logits = torch.randn(SAMPLES, 2, device=DEVICE)
        index = torch.arange(BATCH, device=DEVICE)
        images = torch.randint(0, 256, (BATCH, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
        batch = Batch(images, index, index // 4)
        ours, plain = median_seconds(
            _step(method, lambda method=method, batch=batch: method(batch).loss),
            _step(method, lambda method=method, batch=batch: _plain_loss(method, batch)),
            rounds=5,
        )
        what = f"DCML ({form}), step of {BATCH} images of 64 px, ResNet-18, x CosFace with its gates and branches"
        rows.append(Row(what, ours, plain, ours / plain, 1.3, "s", at_most=True))
    return rows


def _plain_loss(method: DCML, batch: Batch) -> Tensor:
    """The losses of all branches, every sample with the weight 1."""
    encoder, labels = method.encoder, batch.labels
    maps = encoder.maps(method.views(batch.inputs, count=1))
    loss = sum(method.loss(encoder.projection(rows), labels) for rows in encoder.attention(maps))
    if method.extra_attention is None:
        return loss + method.loss(encoder.embed_maps(maps), labels)
    return loss + method.extra_loss(encoder.projection(method.extra_attention(maps).squeeze(0)), labels)


def _step(method: DCML, loss: Callable[[], Tensor]) -> Callable[[], None]:
    def step() -> None:
        method.zero_grad()
        loss().backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step
