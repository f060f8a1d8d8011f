"""A SimCLR step against the bare encoder, and against the loop that lightly documents."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import WHOLE, Scale, missing
from benchmarks.row import LeftOut, Row
from unconfound.data import MemorySource, Schema, Source
from unconfound.devices import choose_device
from unconfound.encoders import Encoder, build_encoder
from unconfound.methods import Method, SimCLR
from unconfound.options.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.training.loop import update
from unconfound.training.optimizers import set_learning_rate
from unconfound.training.running_means import RunningMeans
from unconfound.training.state import TrainingState

SCHEMA = Schema("images", (3, 32, 32))


def run(scale: Scale = WHOLE) -> Iterator[Row | LeftOut]:
    batch = scale.of(256, 8)
    for precision in ("auto", "32"):
        steps = [_step(precision, batch, scale), _bare(precision, batch, scale)]
        against = "against lightly's loop"
        try:
            steps.append(_lightly(batch))
        except ModuleNotFoundError as error:
            yield missing(f"SimCLR step, precision {precision}, {against}", error)
        ours, bare, *peer = _alternate(steps, rounds=scale.of(3, 1), block=scale.of(3, 1))
        speed = batch / ours
        name = f"SimCLR step, ResNet-18, 32 x 32, batch {batch}, precision {precision} ({speed:,.0f} images/s)"
        yield Row(f"{name}, x bare encoder", ours, bare, ours / bare, 1.05, "s", at_most=True)
        for seconds in peer:
            yield Row(f"{name}, {against}", ours, seconds, seconds / ours, 2.0, "s")


def _encoder(scale: Scale) -> Encoder:
    return build_encoder(scale.of("resnet18", "convnet"), SCHEMA)


def _source(batch: int) -> MemorySource:
    images = torch.randint(0, 256, (4 * batch, 3, 32, 32), dtype=torch.uint8)
    return MemorySource("noise", SCHEMA, images)


def _step(precision: str, batch: int, scale: Scale) -> Callable[[], None]:
    options = TrainingOptions(optimizer="sgd", precision=precision)  # type: ignore[arg-type]
    return update_step(SimCLR(_encoder(scale), SCHEMA), _source(batch), options, batch_size=batch)


def update_step(method: Method, source: Source, options: TrainingOptions, *, batch_size: int) -> Callable[[], None]:
    """All that an update of the loop does: batch, views, encoder, head, loss, backward, optimizer."""
    fabric = make_fabric(options, phases=1)
    moving = TrainingState.prepare(method, options, fabric)
    running = RunningMeans(fabric.device)
    phase = method.phases()[0]

    def step() -> None:
        batch = next(source.batches([torch.randint(len(source), (batch_size,))]))
        set_learning_rate(moving.optimizers[phase.name], 1.0)
        update(moving, phase, [batch], 1.0, done=0.0, step=1, fabric=fabric, running=running)
        _wait()

    return step


def _bare(precision: str, batch: int, scale: Scale) -> Callable[[], None]:
    """The same encoder, forward and backward on tensors that lie ready, in the same precision."""
    fabric = make_fabric(TrainingOptions(precision=precision), phases=1)  # type: ignore[arg-type]
    encoder = _encoder(scale).to(fabric.device)
    images = torch.rand(2 * batch, 3, 32, 32, device=fabric.device).to(memory_format=torch.channels_last)

    def step() -> None:
        with fabric.autocast():
            loss = encoder(images).float().square().mean()
        loss.backward()
        encoder.zero_grad()
        _wait()

    return step


def _lightly(batch: int) -> Callable[[], None]:
    """lightly's examples/pytorch/simclr.py with the CIFAR stem: PIL transforms in two workers, one pass a view."""
    import torchvision
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform

    class Images(Dataset[list[Tensor]]):
        def __init__(self) -> None:
            self.images = [torchvision.transforms.functional.to_pil_image(image) for image in _source(batch).inputs]
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
        Images(), batch_size=batch, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
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


def _alternate(steps: list[Callable[[], None]], *, rounds: int, block: int) -> list[float]:
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
