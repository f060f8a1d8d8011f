"""The demo at correlations 0.9 and 0.1 over several seeds: the table of docs/results/demo.md.

    python -m benchmarks.demo [seeds]

Runs lie in runs/demo-study and are resumed, so a killed study goes on where it was.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import t

from unconfound.commands.demo import MENDED, TRAININGS, demo
from unconfound.evaluation.figures import Evaluation, read_evaluation

OUT = Path("runs/demo-study")
ENCODERS = (*TRAININGS, MENDED)
TESTS = ("original", "mixed-same", "mixed-rand", "only-foreground", "only-background")

CELLS = ("full/full", "full/foreground", "foreground/foreground", "foreground/full")


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    page = []
    for correlation in (0.9, 0.1):
        found: list[dict[str, Evaluation]] = []
        for seed in seeds:
            out = OUT / f"{correlation}-{seed}"
            started = time.monotonic()
            if not (out / "evaluation.json").is_file():
                demo(out, correlation=correlation, seed=seed, epochs=20, resume=out.exists())
                print(f"{out}: {time.monotonic() - started:.0f} s", flush=True)
            found.append({entry.name: entry for entry in read_evaluation(out / "evaluation.json")})
        page.append(_table(correlation, found))
    (OUT / "table.md").write_text("\n".join(page))
    print("\n".join(page))
    print(f"the tables are in {OUT / 'table.md'}")


def _table(correlation: float, found: list[dict[str, Evaluation]]) -> str:
    lines = [
        f"Correlation {correlation}, {len(found)} seeds: mean over seeds ± half of the 95 % t-interval, in %.",
        "",
        f"| encoder | {' | '.join(TESTS)} | gap, linear probe (points) | gap, kNN (points) |",
        "| --- |" + " ---: |" * (len(TESTS) + 2),
    ]
    for method in ENCODERS:
        runs = [evaluations[method] for evaluations in found]
        cells = [_cell([run.tests[test]["linear_probe"].value for run in runs]) for test in TESTS]
        gaps = [
            _cell([run.background[name].value for run in runs]) for name in ("background_gap", "background_gap_knn")
        ]
        lines.append(f"| {method} | {' | '.join([*cells, *gaps])} |")
    lines += [
        "",
        "Four cells of the linear probe, trained on / tested on (%):",
        "",
        f"| encoder | {' | '.join(CELLS)} |",
        "| --- |" + " ---: |" * len(CELLS),
    ]
    for method in ENCODERS:
        values = [_cell([evaluations[method].cells[cell].value for evaluations in found]) for cell in CELLS]
        lines.append(f"| {method} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    percent = 100 * np.array(values)
    if len(values) < 2:
        return f"{percent.mean():.1f}"
    half = t.ppf(0.975, len(values) - 1) * percent.std(ddof=1) / np.sqrt(len(values))
    return f"{percent.mean():.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
