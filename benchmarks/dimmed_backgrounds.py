"""What a mask could do at best: a classifier of digits whose backgrounds are dimmed by the true masks.

python -m benchmarks.dimmed_backgrounds --data-root path/to/data --photographs path/to/photographs [--seeds 0 1 2]

Training and test images are multiplied by a mask of 1 on the digit and of a stated value elsewhere, in the setting of
CIM's study on digits. Rows are printed and written as they come.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from unconfound.data import Dataset, MemorySource, Source
from unconfound.data.load import DataOptions, load
from unconfound.encoders import build_encoder
from unconfound.functional.inputs import unit_range
from unconfound.methods import Supervised
from unconfound.training import TrainingOptions, fit

OUT = Path("runs/dimmed-backgrounds")
TESTS = ("original", "mixed-same", "mixed-rand")


def dimmed(source: Source, level: float) -> MemorySource:
    """Return a source whose backgrounds keep this share of their brightness."""
    batch = next(iter(source.batches([torch.arange(len(source))])))
    assert isinstance(batch.inputs, torch.Tensor)
    assert batch.masks is not None
    weights = torch.where(batch.masks, 1.0, level)
    return MemorySource(source.name, source.schema, unit_range(batch.inputs) * weights, batch.labels)


@torch.no_grad()
def accuracies(method: Supervised, tests: dict[str, MemorySource]) -> dict[str, float]:
    """Return the accuracy of the trained classifier on each test set, in percent."""
    method.eval()
    classifier = method.linear_classifier()
    right = {name: classifier(method.encoder(test.inputs)).argmax(1) == test.labels for name, test in tests.items()}
    return {name: 100 * float(each.double().mean()) for name, each in right.items()}


def measure(dataset: Dataset, *, level: float, epochs: int, seed: int) -> dict[str, float]:
    """Train once on dimmed images, and test on dimmed images."""
    train = dimmed(dataset.train, level)
    mean, deviation = train.statistics()
    torch.manual_seed(seed)
    encoder = build_encoder("convnet", train.schema, mean=mean, deviation=deviation, width=8, pooling="flatten")
    method = Supervised(encoder, train.schema)
    training = TrainingOptions(epochs=epochs, batch_size=64, learning_rate=5e-3, precision="32", seed=seed)
    fit(method, Dataset(train, {}), out=OUT / f"{level:g}-{seed}", training=training, overwrite=True)
    return accuracies(method, {name: dimmed(dataset.tests[name], level) for name in TESTS})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--foregrounds", default="mnist")
    parser.add_argument("--correlation", type=float, default=0.95)
    parser.add_argument("--levels", type=float, nargs="+", default=[1.0, 0.5, 0.2, 0.05, 0.0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    dataset = load(
        DataOptions(
            data="composition",
            foregrounds=given.foregrounds,
            correlation=given.correlation,
            data_root=given.data_root,
            photographs=given.photographs,
            tint=False,
            train_samples=6000,
            test_samples=1000,
        )
    )
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "accuracies.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["level", "seed", *TESTS])
        writer.writeheader()
        for seed in given.seeds:
            for level in given.levels:
                found = measure(dataset, level=level, epochs=given.epochs, seed=seed)
                row = {"level": level, "seed": seed, **{name: round(value, 1) for name, value in found.items()}}
                writer.writerow(row)
                file.flush()
                print(row, flush=True)
    print(f"the table is in {path}")


if __name__ == "__main__":
    main()
