"""A SimCLR step against the bare encoder, and against the loop that lightly documents."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.row import Row
from unconfound.data import MemorySource, Schema, Source
from unconfound.devices import choose_device
from unconfound.encoders import Encoder, build_encoder
from unconfound.methods import Method, SimCLR
from unconfound.options.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.training.loop import update
from unconfound.training.optimizers import set_learning_rate
from unconfound.training.running import RunningMeans
from unconfound.training.state import TrainingState

BATCH = 256
SCHEMA = Schema("images", (3, 32, 32))


def run() -> list[Row]:
    rows = []
    for precision in ("auto", "32"):
        ours, bare, peer = _step(precision), _bare(precision), _lightly()
        times = _alternate([ours, bare, peer], rounds=3)
        speed = BATCH / times[0]
        name = f"SimCLR step, ResNet-18, 32 x 32, batch {BATCH}, precision {precision} ({speed:,.0f} images/s)"
        rows.append(Row(f"{name}, x bare encoder", times[0], times[1], times[0] / times[1], 1.05, "s", at_most=True))
        rows.append(Row(f"{name}, against lightly's loop", times[0], times[2], times[2] / times[0], 2.0, "s"))
    return rows


def _encoder() -> Encoder:
    return build_encoder("resnet18", SCHEMA)


def _source() -> MemorySource:
    images = torch.randint(0, 256, (4 * BATCH, 3, 32, 32), dtype=torch.uint8)
    return MemorySource("noise", SCHEMA, images)


def _step(precision: str) -> Callable[[], None]:
    options = TrainingOptions(optimizer="sgd", precision=precision)  # type: ignore[arg-type]
    return update_step(SimCLR(_encoder(), SCHEMA), _source(), options, batch_size=BATCH)


def update_step(method: Method, source: Source, options: TrainingOptions, *, batch_size: int) -> Callable[[], None]:
    """All that an update of the loop does: batch, views, encoder, head, loss, backward, optimizer."""
    fabric = make_fabric(options, phases=1)
    moving = TrainingState.prepare(method, options, fabric)
    running = RunningMeans(fabric.device)
    phase = method.phases()[0]

    def step() -> None:
        batch = next(source.batches([torch.randint(len(source), (batch_size,))]))
        set_learning_rate(moving.optimizers[phase.name], 1.0)
        update(moving, phase, [batch], 1.0, step=1, fabric=fabric, running=running)
        _wait()

    return step


def _bare(precision: str) -> Callable[[], None]:
    """The same encoder, forward and backward on tensors that lie ready, in the same precision."""
    fabric = make_fabric(TrainingOptions(precision=precision), phases=1)  # type: ignore[arg-type]
    encoder = _encoder().to(fabric.device)
    images = torch.rand(2 * BATCH, 3, 32, 32, device=fabric.device).to(memory_format=torch.channels_last)

    def step() -> None:
        with fabric.autocast():
            loss = encoder(images).float().square().mean()
        loss.backward()
        encoder.zero_grad()
        _wait()

    return step


def _lightly() -> Callable[[], None]:
    """lightly's examples/pytorch/simclr.py with the CIFAR stem: PIL transforms in two workers, one pass a view."""
    import torchvision
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform

    class Images(Dataset[list[Tensor]]):
        def __init__(self) -> None:
            self.images = [torchvision.transforms.functional.to_pil_image(image) for image in _source().inputs]
            self.transform = SimCLRTransform(input_size=32, gaussian_blur=0.0)

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> list[Tensor]:
            return self.transform(self.images[index])

    resnet = torchvision.models.resnet18()
    resnet.conv1, resnet.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    device = choose_device("auto")
    backbone = nn.Sequential(*list(resnet.children())[:-1])
    model = nn.Sequential(backbone, nn.Flatten(), SimCLRProjectionHead(512, 512, 128)).to(device)
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    loader = DataLoader(
        Images(), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
    )

    def forever() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    batches = forever()

    def step() -> None:
        first, second = next(batches)
        loss = criterion(model(first.to(device)), model(second.to(device)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait()

    return step


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _alternate(steps: list[Callable[[], None]], *, rounds: int, block: int = 3) -> list[float]:
    """Median seconds of each step, in turns of a few: more than workers prepare while it is another's turn."""
    for step in steps:
        step()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for place, step in enumerate(steps):
            for _ in range(block):
                started = time.perf_counter()
                step()
                seconds[place].append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]
