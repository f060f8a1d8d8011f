"""A comparison over folds: separated and concatenated, from the cells to the tables, and over a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import unconfound.comparison.folds_together
from unconfound.cli import main
from unconfound.data.load import DataOptions, load_dataset
from unconfound.encoders import load_encoder
from unconfound.evaluation.embed import embed
from unconfound.functional.retrieval_metrics import retrieval_metrics

FIGURES = ["precision_at_1", "r_precision", "map_at_r"]


def write_table(path: Path) -> Path:
    """Rows of twelve classes, of which six are trained on or validated on."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 20)
    centres = random.normal(size=(12, 5))
    rows = centres[labels] + random.normal(size=(len(labels), 5))
    frame = pd.DataFrame(rows, columns=[f"x{column}" for column in range(5)])
    frame.assign(kind=[f"kind {label:02d}" for label in labels]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "kinds.csv")


def words(table: Path, out: Path, *more: str) -> list[str]:
    flags = ["--data", str(table), "--label", "kind", "--unseen-classes", "--folds", "3", "--seeds", "0", "1", "2"]
    small = ["--width", "8", "--epochs", "2", "--batch-size", "32", "--select-every", "1", "--device", "cpu"]
    return ["compare", "random", "supervised", *flags, *small, "--out", str(out), *more]


@pytest.fixture(scope="module")
def done(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compare") / "out"
    assert main(words(table, out, "--over", "fold=0,1,2")) == 0
    return out


def test_separated_is_the_mean_over_folds(done: Path) -> None:
    cells = pd.read_csv(done / "comparison.csv")
    folds = pd.read_csv(done / "folds.csv")
    separated = folds[folds["embeddings"] == "separated"]
    assert len(separated) == 2 * 3 * len(FIGURES)
    for line in separated.itertuples():
        same = cells[(cells["row"] == line.row) & (cells["seed"] == line.seed) & (cells["test"] == line.test)]
        values = same[same["metric"] == line.metric]["value"]
        assert len(values) == 3
        assert line.value == pytest.approx(values.mean())


def test_concatenated_is_one_retrieval_of_all_folds_embeddings(done: Path, table: Path) -> None:
    folds = pd.read_csv(done / "folds.csv").set_index(["embeddings", "row", "seed", "metric"])["value"]
    data = load_dataset(DataOptions(data=str(table), label="kind", unseen_classes=True, folds=3, fold=1))
    for row in ("random", "supervised"):
        for seed in range(3):
            runs = [done / f"fold {fold}" / row / f"seed-{seed}" for fold in range(3)]
            parts = [embed(load_encoder(run), data.tests["test"]) for run in runs]
            rows = [part.features / part.features.norm(dim=1, keepdim=True) for part in parts]
            for form, joined in (("each", rows), ("once", [part.features for part in parts])):
                expected = retrieval_metrics(torch.cat(joined, 1), parts[0].labels)
                assert [folds[form, row, seed, metric] for metric in FIGURES] == pytest.approx(
                    [expected[metric] for metric in FIGURES], abs=1e-6
                )


def test_intervals_are_t_intervals_over_seeds_and_differences_are_paired(done: Path) -> None:
    folds = pd.read_csv(done / "folds.csv")
    summed = pd.read_csv(done / "folds-summary.csv").set_index(["embeddings", "row", "metric"])
    assert len(summed) == 3 * 2 * len(FIGURES)
    values = folds.pivot_table(index=["embeddings", "metric", "seed"], columns="row", values="value")
    for (form, metric), seeds in values.groupby(level=[0, 1]):
        line, wide = summed.loc[form, "supervised", metric], stats.t.ppf(0.975, 2) / np.sqrt(3)
        assert line["mean"] == pytest.approx(seeds["supervised"].mean())
        assert line["half_width"] == pytest.approx(wide * seeds["supervised"].std(ddof=1))
        difference = seeds["supervised"] - seeds["random"]
        assert line["difference"] == pytest.approx(difference.mean())
        assert line["difference_half_width"] == pytest.approx(wide * difference.std(ddof=1))
        assert line["pairs"] == 3


def test_every_table_shows_the_folds_first(done: Path) -> None:
    for name in ("folds.md", "comparison.md"):
        text = (done / name).read_text()
        titles = [line.strip("*") for line in text.splitlines() if line.startswith("**")]
        assert titles[:3] == [
            "separated, the mean over 3 folds (8 features): test",
            "concatenated, 3 folds side by side, each normalised before (24 features): test",
            "concatenated, 3 folds side by side, normalised once (24 features): test",
        ]
    assert "| row | precision at 1 (%) | minus random | R-precision (%) |" in (done / "folds.md").read_text()
    page = (done / "report.html").read_text()
    assert page.index('<section id="folds"') < page.index('<section id="measure-1"')
    assert "24 features" in page


def test_what_was_found_is_not_found_again(
    done: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {path.name: path.read_text() for path in done.glob("folds*")}
    files = sorted(done.rglob("concatenated-seed-*.json"))
    assert [file.relative_to(done).as_posix() for file in files] == [
        f"{row}/concatenated-seed-{seed}.json" for row in ("random", "supervised") for seed in range(3)
    ]
    asked: list[int] = []
    real: Callable[..., object] = unconfound.comparison.folds_together.embed

    def counted(*arguments: object, **options: object) -> object:
        asked.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(unconfound.comparison.folds_together, "embed", counted)
    resume = words(table, done, "--over", "fold=0,1,2", "--resume")
    assert main(resume) == 0
    assert asked == []
    # Half a file, one of another version, one of a run that was made anew, and one that is gone.
    files[0].write_text(files[0].read_text()[:100])
    files[1].write_text(json.dumps(json.loads(files[1].read_text()) | {"format": 99}))
    os.utime(done / "fold 1" / "random" / "seed-2" / "encoder.safetensors", ns=(1, 1))
    files[3].unlink()
    assert main(resume) == 0
    assert len(asked) == 4 * 3
    assert tables == {path.name: path.read_text() for path in done.glob("folds*")}
    assert "separated, the mean over 3 folds" in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_judged_together_is_said(
    done: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> object:
        raise ValueError("one embedding is not finite")

    monkeypatch.setattr(unconfound.comparison.folds_together, "embed", broken)
    kept = done / "supervised" / "concatenated-seed-1.json"
    before = kept.read_bytes()
    kept.unlink()
    assert main(words(table, done, "--over", "fold=0,1,2", "--resume")) == 0
    told = "not evaluated together: supervised, seed 1: one embedding is not finite"
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in (done / "comparison.md").read_text()
    summed = pd.read_csv(done / "folds-summary.csv").set_index(["embeddings", "row", "metric"])["seeds"]
    assert (summed["separated", "supervised", "map_at_r"], summed["each", "supervised", "map_at_r"]) == (3, 2)
    kept.write_bytes(before)


def test_a_row_whose_folds_are_not_all_done_has_no_line(table: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        f"""
seeds = [0]
[data]
data = "{table}"
label = "kind"
unseen_classes = true
folds = 3
[training]
epochs = 1
batch_size = 32
[over]
fold = [0, 1]
test_share = [0.2, 0.3]
[rows.random]
method = "random"
[rows.wide]
method = "supervised"
training = {{batch_size = 81}}
"""
    )
    out = tmp_path / "out"
    # Fold 0 of three leaves 80 samples to train on, too few for one of the rows.
    assert main(["compare", str(file), "--out", str(out), "--device", "cpu"]) == 0
    folds = pd.read_csv(out / "folds.csv")
    assert set(folds["row"]) == {"random"}
    assert set(folds["setting"]) == {"test share 0.2", "test share 0.3"}
    assert (out / "test share 0.2" / "random" / "concatenated-seed-0.json").is_file()
    assert main(["compare", str(file), "--out", str(out), "--overwrite", "--over", "fold=0"]) == 0
    assert not list(out.rglob("concatenated-seed-*.json"))
    assert not list(out.glob("folds*"))


def test_a_fold_without_unseen_classes_is_a_mistake(table: Path, tmp_path: Path, capsys) -> None:
    given = [word for word in words(table, tmp_path / "out", "--over", "fold=0,1") if word != "--unseen-classes"]
    assert main(given) == 2
    assert "fold 0 divides the classes of --unseen-classes" in capsys.readouterr().err


def test_more_folds_than_classes_are_said_before_anything_is_trained(table: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(words(table, out, "--folds", "9", "--over", "fold=0,1,2,3,4,5,6,7,8")) == 2
    error = capsys.readouterr().err
    assert "9 folds of 6 classes leave 0 to validate on" in error
    assert "cell 1" not in error
    assert not out.exists()


@pytest.mark.parametrize(("flags", "unseen"), [((), True), (("--no-unseen-classes",), False)])
def test_all_rows_are_judged_like_one_that_learns_a_similarity(
    table: Path, tmp_path: Path, flags: tuple[str, ...], unseen: bool
) -> None:
    small = ["--width", "8", "--epochs", "1", "--batch-size", "32", "--seeds", "0", "--device", "cpu", *flags]
    data = ["--data", str(table), "--label", "kind"]
    assert main(["compare", "random", "metric", *data, *small, "--out", str(tmp_path / "out")]) == 0
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert set(summary["row"]) == {"random", "metric"}
    assert (set(summary["metric"]) == set(FIGURES)) == unseen
