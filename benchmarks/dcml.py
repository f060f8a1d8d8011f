"""A step of DCML against one of CosFace through the same gates, branches and heads, without environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import Gated, Projected, build_encoder
from unconfound.methods import DCML
from unconfound.options.methods.dcml import DCMLOptions

DEVICE = choose_device("auto")
CLASSES, SAMPLES = 60, 512
SCHEMA = Schema("images", (3, 64, 64), tuple(str(number) for number in range(CLASSES)))


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    count, network = scale.of((32, "resnet18"), (8, "convnet"))
    for form in ("code", "paper"):
        torch.manual_seed(0)
        method = DCML(build_encoder(network, SCHEMA), SCHEMA, DCMLOptions(form=form)).to(DEVICE)
        method.environment_logits = torch.randn(SAMPLES, 2, device=DEVICE)
        index = torch.arange(count, device=DEVICE)
        images = torch.randint(0, 256, (count, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
        batch = Batch(images, index, index // 4)
        yield timed(
            f"DCML ({form}), step of {count} images of 64 px, {network}, x CosFace with its gates and branches",
            _step(method, lambda method=method, batch=batch: method(batch).loss),
            lambda method=method, batch=batch: _step(method, lambda: _plain_loss(method, batch)),
            target=1.3,
            rounds=5,
            scale=scale,
            at_most=True,
        )


def _plain_loss(method: DCML, batch: Batch) -> Tensor:
    """The losses of all branches, every sample with the weight 1."""
    gated, labels = method.encoder.wrapper(Gated), batch.labels
    project = method.encoder.wrapper(Projected).projection
    maps = gated.maps(method.views(batch.inputs, count=1))
    loss = sum(method.loss(project(rows), labels) for rows in gated.attention(maps))
    if method.extra_attention is None:
        return loss + method.loss(project(gated.pool(maps)), labels)
    return loss + method.extra_loss(project(method.extra_attention(maps).squeeze(0)), labels)


def _step(method: DCML, loss: Callable[[], Tensor]) -> Callable[[], None]:
    def step() -> None:
        method.zero_grad()
        loss().backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step
