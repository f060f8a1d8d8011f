"""ICL-MSR: its loss against NT-Xent, its steps against plain ones of the host, hosts' losses against lightly's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import WHOLE, Scale, held, median_seconds, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.interventional import interventional_loss
from unconfound.functional.prediction import negative_cosine
from unconfound.functional.queued_contrast import queue_info_nce
from unconfound.functional.redundancy import barlow_twins, vicreg
from unconfound.methods import ICLMSR, Method, SimCLR
from unconfound.options.methods.icl_msr import ICLMSROptions

DEVICE = choose_device("auto")
WIDTH = 128
SCHEMA = Schema("images", (3, 32, 32))
Loss = Callable[..., Tensor]


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    pairs = scale.of(512, 16)
    yield _loss(pairs, scale)
    yield from _steps(scale)
    yield from _hosts(pairs, scale)


def _loss(pairs: int, scale: Scale) -> Row | LeftOut:
    strata = torch.rand(8, WIDTH, device=DEVICE)
    return timed(
        f"interventional loss, 8 strata, {pairs} pairs of {WIDTH}, x NT-Xent",
        _gradient(lambda first, second: interventional_loss(first, second, strata), pairs),
        lambda: _gradient(nt_xent, pairs),
        target=1.5,
        rounds=30,
        scale=scale,
        at_most=True,
        unit="ms",
    )


def _steps(scale: Scale) -> Iterator[Row | LeftOut]:
    # A step of 256 takes a CPU half a minute; the ratio is the same.
    network, batch = scale.of(("resnet18", 256 if DEVICE == "cuda" else 32), ("convnet", 4))
    for meta, every, target in (("exact", 1, 3.0), ("alignment", 1, 2.2), ("exact", 4, 1.5)):
        seconds, plain = median_seconds(
            _regularised(network, batch, meta, every),
            _every(_plain(network, batch), every),
            rounds=scale.of(3, 1),
        )
        what = f"ICL-MSR, {meta}, strata on every {f'{every}th ' * (every > 1)}batch of {batch}, {network}, x SimCLR"
        yield Row(what, seconds / every, plain / every, seconds / plain, target, "s", at_most=True)
    if DEVICE == "cpu":
        what = f"ICL-MSR, exact, peak memory over SimCLR's, batch {batch}, {network}"
        exact = partial(_regularised, network, batch, "exact", 1)
        yield held(what, exact, partial(_plain, network, batch), target=1.6, scale=scale)


def _plain(network: str, batch: int) -> Callable[[], None]:
    return _step(SimCLR(_encoder(network), SCHEMA).to(DEVICE), "train", batch)


def _regularised(network: str, batch: int, meta: Any, every: int) -> Callable[[], None]:
    """One step of the strata after `every` steps of the host."""
    options = ICLMSROptions(meta=meta, schedule="interleaved", meta_every=every, virtual_rate=1e-3)
    method = ICLMSR(_encoder(network), SCHEMA, options).to(DEVICE)
    steps = {phase: _step(method, phase, batch) for phase in ("train", "strata")}

    def both() -> None:
        for phase in [*["train"] * every, "strata"]:
            method.before_update(phase, done=0.0, learning_rate=1e-3)
            steps[phase]()
            method.after_update()

    return both


def _every(call: Callable[[], None], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            call()

    return repeated


def _step(method: Method, phase: str, count: int) -> Callable[[], None]:
    images = torch.randint(0, 256, (count, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
    batch = Batch(images, torch.arange(count, device=DEVICE))

    def step() -> None:
        method.zero_grad()
        method(batch, phase).loss.backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step


def _encoder(network: str) -> Any:
    return build_encoder(network, SCHEMA).to(DEVICE)


def _hosts(pairs: int, scale: Scale) -> Iterator[Row | LeftOut]:
    keys = torch.nn.functional.normalize(torch.randn(scale.of(4096, 32), WIDTH, device=DEVICE), dim=1)
    losses: dict[str, Loss] = {
        "Barlow Twins": barlow_twins,
        "VICReg": lambda first, second: vicreg(first, second).loss,
        "negative cosine": negative_cosine,
        f"MoCo, queue of {len(keys):,},": lambda first, second: queue_info_nce(
            first, second.detach(), keys, temperature=0.2
        ),
        "SwAV": swapped_prediction,
    }
    for name, loss in losses.items():
        yield timed(
            f"{name} loss, {pairs} pairs of {WIDTH}, against lightly",
            _gradient(loss, pairs),
            lambda name=name: _gradient(_lightly(name.partition(",")[0], keys, pairs), pairs),
            target=1.0,
            rounds=20,
            scale=scale,
            unit="ms",
        )


def _lightly(name: str, keys: Tensor, pairs: int) -> Loss:
    from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss, VICRegLoss

    if name == "MoCo":
        bank = NTXentLoss(temperature=0.2, memory_bank_size=(len(keys), WIDTH)).to(DEVICE)
        bank(*torch.randn(2, pairs, WIDTH, device=DEVICE))  # fills it
        return lambda first, second: bank(first, second.detach())
    if name == "SwAV":
        swav = SwaVLoss()
        return lambda first, second: swav([first, second], [])
    kinds = {"Barlow Twins": BarlowTwinsLoss, "VICReg": VICRegLoss, "negative cosine": NegativeCosineSimilarity}
    loss: Loss = kinds[name]()
    return loss


def _gradient(loss: Loss, pairs: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(pairs, WIDTH, generator=generator).to(DEVICE).requires_grad_() for _ in range(2)]

    def both() -> None:
        loss(*views).backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return both
