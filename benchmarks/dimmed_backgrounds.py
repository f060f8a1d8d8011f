"""What a mask could do at best: a classifier of digits whose backgrounds are dimmed by the true masks.

    python -m benchmarks.dimmed_backgrounds PHOTOGRAPHS [seeds]

Training and test images are multiplied by a mask of 1 on the digit and of a stated value elsewhere, in the setting of
CIM's study on digits at 0.95. PHOTOGRAPHS is a folder as `unconfound fit --photographs` takes it; MNIST lies in the
folder that UNCONFOUND_DATA names. Each row is printed as it is measured. A killed study goes on where it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import unconfound
from unconfound.data import Dataset, MemorySource, Source
from unconfound.functional.inputs import unit_range

OUT = Path("runs/dimmed-backgrounds")
TESTS = ("original", "mixed-same", "mixed-rand")
LEVELS = (1.0, 0.88, 0.5, 0.2, 0.05, 0.0)
OPTIONS = {"encoder": "convnet", "width": 8, "pooling": "flatten", "batch_size": 64, "learning_rate": 5e-3}


def main(words: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    digits = unconfound.load(
        "composition",
        foregrounds="mnist",
        correlation=0.95,
        data_root=Path(os.environ["UNCONFOUND_DATA"]),
        photographs=Path(words[0]),
        tint=False,
        train_samples=6000,
        test_samples=1000,
    )
    for seed in range(int(words[1]) if words[1:] else 3):
        for level in LEVELS:
            found = accuracies_at(level, digits, seed=seed)
            print(f"{level:g}, seed {seed}: {', '.join(f'{test} {found[test]:.1f}' for test in TESTS)}", flush=True)


def accuracies_at(level: float, digits: Dataset, *, seed: int, epochs: int = 10) -> dict[str, float]:
    """Train and test on backgrounds that keep this share of their brightness; return accuracies in %."""
    train = dimmed(digits.train, level)
    dataset = Dataset(train=train, labelled=train, tests={name: dimmed(digits.tests[name], level) for name in TESTS})
    run = OUT / f"{level:g}-{seed}"
    fitted = unconfound.fit(
        "supervised", dataset, out=run, resume=run.exists(), epochs=epochs, seed=seed, precision="32", **OPTIONS
    )
    assert fitted.classifier is not None
    found = {}
    for name in TESTS:
        test = dimmed(digits.tests[name], level)
        with torch.inference_mode():
            classes = fitted.classifier(fitted.encoder(test.inputs)).argmax(1)
        found[name] = 100 * float((classes == test.labels).double().mean())
    return found


def dimmed(source: Source, level: float) -> MemorySource:
    """Return images whose backgrounds keep this share of their brightness."""
    batch = next(iter(source.batches([torch.arange(len(source))])))
    assert isinstance(batch.inputs, torch.Tensor)
    assert batch.masks is not None
    weights = torch.where(batch.masks, 1.0, level)
    return MemorySource(source.name, source.schema, unit_range(batch.inputs) * weights, batch.labels)


if __name__ == "__main__":
    main()
