"""DACL and its rivals on Adult and Letter, over several seeds: linear probes on the test rows, as a Markdown table.

    python -m benchmarks.tables --data-root DATA [--seeds 3] [--out runs/tables.md]

Each encoder is trained by its recipe (`dacl/adult`, ...), all of one size. What is measured goes at once into a CSV
file beside the table, and is not measured again: a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.data.load import DataOptions, load_dataset
from unconfound.evaluation.embed import embed
from unconfound.evaluation.probe import fit_probe
from unconfound.files import write_text
from unconfound.fit_parsing import parse_fit
from unconfound.recipes import read_recipe
from unconfound.runs import fit_run
from unconfound.training.run_folder import machine

DATA = {"adult": "Adult (income above 50,000 $)", "letter": "Letter (26 letters)"}
# Recipes' methods in the order of the table, and what it calls them; the last two have no encoder.
RECIPES = {
    "random": "untrained encoder",
    "gaussian": "Gaussian noise (matched)",
    "dacl": "DACL",
    "dacl+": "DACL+",
    "scarf": "SCARF",
    "supervised": "supervised (cross-entropy)",
}
NAMES = RECIPES | {"raw": "the features themselves", "trees": "gradient boosting (scikit-learn), no probe"}
COLUMNS = ("data", "method", "seed", "epochs", "accuracy", "training_seconds")
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder that holds adult and letter")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/tables.md"))
    parser.add_argument("--epochs", type=int, help="of every training, in place of the recipes'")
    given = parser.parse_args()
    table = given.out.with_suffix(".csv")
    rows = list(_measured(table))
    for data in DATA:
        dataset = None
        for seed in range(given.seeds):
            for method in NAMES:
                asked = {"data": data, "method": method, "seed": str(seed), "epochs": str(given.epochs or "recipe")}
                if any(asked.items() <= row.items() for row in rows):
                    continue
                dataset = dataset or load_dataset(DataOptions(data=data, data_root=given.data_root))
                accuracy, seconds = _measure(method, dataset, seed=seed, epochs=given.epochs, out=given.out, data=data)
                rows.append(asked | {"accuracy": f"{accuracy:.6f}", "training_seconds": f"{seconds:.1f}"})
                _add(table, rows[-1])
                print(f"{data} {method} seed {seed}: {100 * accuracy:.2f} %, {seconds:.0f} s", flush=True)
    chosen = [row for row in rows if row["epochs"] == str(given.epochs or "recipe") and int(row["seed"]) < given.seeds]
    changed = f" --epochs {given.epochs}" if given.epochs else ""
    page = _page(chosen, command=f"python -m benchmarks.tables --seeds {given.seeds}{changed}", seeds=given.seeds)
    write_text(given.out, page)
    print(page)
    print(f"the table is in {given.out}")


def _measure(
    method: str, dataset: Dataset, *, seed: int, epochs: int | None, out: Path, data: str
) -> tuple[float, float]:
    """Return the share of test rows that are told right, and the seconds of training."""
    train, test = dataset.train, dataset.tests["test"]
    if method == "trees":
        features, labels = _all(train)
        started = time.monotonic()
        trees = HistGradientBoostingClassifier(random_state=seed).fit(features, labels)
        seconds = time.monotonic() - started
        features, labels = _all(test)
        return float((trees.predict(features) == labels.numpy()).mean()), seconds
    encoder: Encoder = _itself
    started = time.monotonic()
    if method in RECIPES:
        name, arguments = parse_fit([], method=None, recipe=read_recipe(f"{method}/{data}"))
        training = replace(arguments.training, seed=seed, epochs=epochs or arguments.training.epochs)
        folder = out.parent / "tables" / f"{data}-{method}-{seed}"
        arguments = replace(arguments, training=training, out=folder, overwrite=True)
        encoder = fit_run(name, arguments, dataset=dataset).encoder
    seconds = time.monotonic() - started
    probe = fit_probe(embed(encoder, train), seed=seed)
    embeddings = embed(encoder, test)
    return float((probe.predict(embeddings) == embeddings.labels).double().mean()), seconds


def _itself(rows: Tensor) -> Tensor:
    return rows


def _all(source: Source) -> tuple[Tensor, Tensor]:
    embeddings = embed(_itself, source)
    return embeddings.labelled()[0].features, embeddings.labelled()[1]


def _measured(table: Path) -> Iterator[Row]:
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


def _add(table: Path, row: Row) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.is_file()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _page(rows: list[Row], *, command: str, seeds: int) -> str:
    where = machine()
    hardware = ", ".join(where["gpus"]) or f"{where['processor']}, {where['cores']} cores"
    lines = [
        f"`{command}` on {hardware}; torch {torch.__version__}, {torch.get_num_threads()} threads; commit "
        f"{where['git']}. Accuracy on the test rows of a linear probe of the embeddings, in %: mean over {seeds} seeds "
        "± half of the 95 % t-interval; seconds of one training.",
        "",
        f"| encoder | {' | '.join(f'{title} | s' for title in DATA.values())} |",
        f"| --- |{' ---: | ---: |' * len(DATA)}",
    ]
    for method, name in NAMES.items():
        cells = []
        for data in DATA:
            found = [row for row in rows if (row["data"], row["method"]) == (data, method)]
            cells.append(_interval([100 * float(row["accuracy"]) for row in found]))
            cells.append(f"{np.mean([float(row['training_seconds']) for row in found]):.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{np.mean(values):.2f}"
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.2f} ± {half:.2f}"


if __name__ == "__main__":
    main()
