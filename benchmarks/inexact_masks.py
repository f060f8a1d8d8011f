"""The demo trained on exchanged backgrounds with masks that are exact, estimated or wrong: a table of docs/exchange.md.

    python -m benchmarks.inexact_masks [seeds] [name of a row ...]

Only the training images have these masks; the test sets are composed by the true ones. Each row is printed as it is
measured, and kept in runs/inexact-masks, so that a killed study goes on where it was.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import unconfound
from unconfound.data import Dataset, MemorySource
from unconfound.data.images.refined_masks import with_refined_masks
from unconfound.evaluation.evaluate import evaluate
from unconfound.functional.foregrounds.depths import depths

OUT = Path("runs/inexact-masks")
TESTS = ("original", "mixed-same", "mixed-rand", "only-foreground", "only-background")


@dataclass(frozen=True)
class Study:
    """One row: by how many pixels the masks are too wide (or, below 0, too narrow), and how backgrounds are exchanged.

    Args:
        options: flags of `unconfound fit --recipe supervised/demo`.
        wider: pixels.
        refined: pixels within which the masks are then refined by colour, as by --refine-masks; 0: not.
        masks: of the data, as --masks has them.
    """

    options: dict[str, Any] = field(default_factory=dict)
    wider: int = 0
    refined: int = 0
    masks: str | None = None


RIM = {"exchange_rim": 2, "exchange_soft_edge": 1.0}
STUDIES = {
    "exact": Study(),
    "estimated": Study(masks="estimate-all"),
    "estimated, refined": Study(masks="estimate-all", refined=1),
    "2 too wide": Study(wider=2),
    "2 too wide, rim": Study(RIM, wider=2),
    "2 too wide, refined": Study(wider=2, refined=3),
    "2 too narrow": Study(wider=-2),
    "2 too narrow, rim": Study(RIM, wider=-2),
    "2 too narrow, refined": Study(wider=-2, refined=3),
}


def main(words: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    seeds = range(int(words[0]) if words else 3)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in words[1:] or STUDIES:
        found = [_measured(name, seed) for seed in seeds]
        print(
            f"| {name} | {' | '.join(_cell([each[test] for each in found]) for test in (*TESTS, 'gap'))} |", flush=True
        )


def _measured(name: str, seed: int) -> dict[str, float]:
    """Return what the trained classifier recognises of each test set in %, or find it where it was measured before."""
    kept = OUT / f"{name}, {seed}.json"
    if not kept.is_file():
        study, started = STUDIES[name], time.monotonic()
        dataset = _with_wider_masks(unconfound.load("demo", masks=study.masks), study.wider)
        if study.refined:
            dataset = with_refined_masks(dataset, wrong_by=study.refined)
        options = {"recipe": "supervised/demo", "exchange": 1.0, "seed": seed} | study.options
        run = OUT / f"{name}, {seed}"
        fitted = unconfound.fit("supervised", dataset, out=run, resume=run.exists(), **options)
        figures = evaluate(fitted.encoder, dataset, name=name, classifier=fitted.classifier).evaluation
        found = {test: 100 * figures.tests[test]["classifier"].value for test in TESTS}
        found |= {"gap": found["mixed-same"] - found["mixed-rand"], "seconds": round(time.monotonic() - started)}
        kept.write_text(json.dumps(found))
        print(f"{name}, seed {seed}: {json.dumps(found)}", flush=True)
    return dict(json.loads(kept.read_text()))


def _with_wider_masks(dataset: Dataset, wider: int) -> Dataset:
    train = dataset.train
    if wider == 0:
        return dataset
    assert isinstance(train, MemorySource)
    assert train.masks is not None
    train = replace(train, masks=depths(train.masks, abs(wider)) + wider > 0)
    return replace(dataset, train=train, labelled=train)


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


if __name__ == "__main__":
    main()
