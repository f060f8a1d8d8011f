"""ICL-MSR: its loss against NT-Xent, its steps against plain ones of the host, hosts' losses against lightly's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.row import Row, median_seconds, peak_growth_mib
from unconfound.data import Batch, Schema
from unconfound.devices import choose_device
from unconfound.encoders import build_encoder
from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.interventional import interventional_loss
from unconfound.functional.prediction import negative_cosine
from unconfound.functional.queue import queue_info_nce
from unconfound.functional.redundancy import barlow_twins, vicreg
from unconfound.methods import ICLMSR, Method, SimCLR
from unconfound.options.methods.icl_msr import ICLMSROptions

DEVICE = choose_device("auto")
# A step of 256 takes a CPU half a minute; the ratio is the same.
BATCH = 256 if DEVICE == "cuda" else 32
PAIRS, WIDTH = 512, 128
SCHEMA = Schema("images", (3, 32, 32))
Loss = Callable[..., Tensor]


def run() -> list[Row]:
    return [_loss(), *_steps(), *_hosts()]


def _loss() -> Row:
    strata = torch.rand(8, WIDTH, device=DEVICE)
    ours, plain = median_seconds(
        _gradient(lambda first, second: interventional_loss(first, second, strata)), _gradient(nt_xent), rounds=30
    )
    what = f"interventional loss, 8 strata, {PAIRS} pairs of {WIDTH}, x NT-Xent"
    return Row(what, ours * 1e3, plain * 1e3, ours / plain, 1.5, "ms", at_most=True)


def _steps() -> list[Row]:
    rows = []
    for meta, every, target in (("exact", 1, 3.0), ("alignment", 1, 2.2), ("exact", 4, 1.5)):
        ours, plain = median_seconds(_regularised(meta, every), _every(_plain(), every), rounds=3)
        what = f"ICL-MSR, {meta}, strata on every {f'{every}th ' * (every > 1)}batch of {BATCH}, ResNet-18, x SimCLR"
        rows.append(Row(what, ours / every, plain / every, ours / plain, target, "s", at_most=True))
    if DEVICE == "cpu":
        memory, plain = peak_growth_mib(prepare_exact), peak_growth_mib(prepare_plain)
        what = f"ICL-MSR, exact, peak memory over SimCLR's, batch {BATCH}, ResNet-18"
        rows.append(Row(what, memory, plain, memory / plain, 1.6, "MiB", at_most=True))
    return rows


def prepare_exact() -> Callable[[], None]:
    return _regularised("exact", 1)


def prepare_plain() -> Callable[[], None]:
    return _plain()


def _plain() -> Callable[[], None]:
    return _step(SimCLR(_encoder(), SCHEMA).to(DEVICE), "train")


def _regularised(meta: Any, every: int) -> Callable[[], None]:
    """One step of the strata after `every` steps of the host."""
    options = ICLMSROptions(meta=meta, schedule="interleaved", meta_every=every, virtual_rate=1e-3)
    method = ICLMSR(_encoder(), SCHEMA, options).to(DEVICE)
    steps = {phase: _step(method, phase) for phase in ("train", "strata")}

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


def _step(method: Method, phase: str) -> Callable[[], None]:
    images = torch.randint(0, 256, (BATCH, *SCHEMA.shape), dtype=torch.uint8, device=DEVICE)
    batch = Batch(images, torch.arange(BATCH, device=DEVICE))

    def step() -> None:
        method.zero_grad()
        method(batch, phase).loss.backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step


def _encoder() -> Any:
    return build_encoder("resnet18", SCHEMA).to(DEVICE)


def _hosts() -> list[Row]:
    from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss, VICRegLoss

    keys = torch.nn.functional.normalize(torch.randn(4096, WIDTH, device=DEVICE), dim=1)
    bank = NTXentLoss(temperature=0.2, memory_bank_size=(len(keys), WIDTH)).to(DEVICE)
    bank(*torch.randn(2, PAIRS, WIDTH, device=DEVICE))  # fills it
    swav = SwaVLoss()
    pairs: list[tuple[str, Loss, Loss]] = [
        ("Barlow Twins", barlow_twins, BarlowTwinsLoss()),
        ("VICReg", lambda first, second: vicreg(first, second).loss, VICRegLoss()),
        ("negative cosine", negative_cosine, NegativeCosineSimilarity()),
        (
            "MoCo, queue of 4,096",
            lambda first, second: queue_info_nce(first, second.detach(), keys, temperature=0.2),
            lambda first, second: bank(first, second.detach()),
        ),
        ("SwAV", swapped_prediction, lambda first, second: swav([first, second], [])),
    ]
    rows = []
    for name, mine, theirs in pairs:
        ours, peer = median_seconds(_gradient(mine), _gradient(theirs), rounds=20)
        what = f"{name} loss, {PAIRS} pairs of {WIDTH}, against lightly"
        rows.append(Row(what, ours * 1e3, peer * 1e3, peer / ours, 1.0, "ms"))
    return rows


def _gradient(loss: Loss) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(PAIRS, WIDTH, generator=generator).to(DEVICE).requires_grad_() for _ in range(2)]

    def both() -> None:
        loss(*views).backward()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return both


if __name__ == "__main__":
    print(*run(), sep="\n")
