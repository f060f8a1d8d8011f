"""Classes that are told by their surroundings, trained with and without exchanged backgrounds: what the exchange costs.

    python -m benchmarks.needed_backgrounds [seeds]

Each class is a pair of digits on one half of the demo's scenes. Digits and scenes are independent, so that the
foreground alone tells five pairs and no more: at best half of the images are recognised without the background. Each
row is printed as it is measured. A killed study goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import unconfound
from unconfound.data import Dataset, MemorySource, Source
from unconfound.data.compose.swaps import swaps

OUT = Path("runs/needed-backgrounds")
TESTS = ("original", "mixed-same", "mixed-rand", "only-foreground")


def main(words: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    dataset = pairs_on_halves()
    for seed in range(int(words[0]) if words else 3):
        for name, exchange in (("plain", 0.0), ("exchanged", 1.0)):
            _measure(dataset, OUT / f"{name}-{seed}", exchange=exchange, seed=seed)


def pairs_on_halves() -> Dataset:
    """Return the demo without a correlation, and with classes that are half foreground and half background."""
    demo = unconfound.load("demo", correlation=0.1)
    train = _relabelled(demo.train)
    return Dataset(train=train, labelled=train, tests=swaps(_relabelled(demo.tests["original"])))


def _relabelled(source: Source) -> MemorySource:
    assert isinstance(source, MemorySource)
    assert source.labels is not None
    assert source.scenes is not None
    classes = [f"{first} or {first + 1}, {half} scenes" for first in range(0, 10, 2) for half in ("first", "last")]
    labels = source.labels // 2 * 2 + (source.scenes >= 5)
    schema = replace(source.schema, classes=tuple(classes), groups=())
    return replace(source, schema=schema, labels=labels, groups=None)


def _measure(dataset: Dataset, run: Path, *, exchange: float, seed: int) -> None:
    unconfound.fit(
        "supervised", dataset, out=run, recipe="supervised/demo", exchange=exchange, seed=seed, resume=run.exists()
    )
    (found,) = unconfound.evaluate(run, dataset)
    shares = [f"{test} {100 * found.tests[test]['classifier'].value:.1f}" for test in TESTS]
    print(f"{run.name}: {', '.join(shares)}", *found.advice, sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
