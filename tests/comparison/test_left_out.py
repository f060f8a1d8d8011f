"""Leave-one-domain-out: what judges a candidate, what is never looked at, and what becomes of kills and failures."""

from __future__ import annotations

import json
import shutil
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import unconfound.comparison.cell
from comparison import runs as comparison_runs
from unconfound.cli import main
from unconfound.comparison.plan import completed, differing_data, tasks_of
from unconfound.comparison.rows import rows_of
from unconfound.data import Dataset, Source
from unconfound.methods import ALIASES, METHODS
from unconfound.options.compare import CompareArguments
from unconfound.training import Fitted, TrainingStopped

DOMAINS = ("cartoon", "photo", "sketch")
HELD_OUT = "art painting"
# In a corner of the images of the domain that is held out, and of no others.
MARK = 255
CONTENT = """
seeds = [0, 1]
select = "leave-one-domain-out"
metrics = ["classifier"]
[data]
data = "domains"
data_root = "{root}"
held_out = "art painting"
[encoder]
encoder = "convnet"
width = 4
depth = 2
[training]
epochs = 1
batch_size = 16
checkpoint_seconds = 0.0
[rows.random]
method = "random"
[rows.supervised]
method = "supervised"
candidates = [{{learning_rate = 1e-7}}, {{learning_rate = 0.03, epochs = 6}}]
"""
FIRST, SECOND = "supervised, learning rate 1e-07", "supervised, learning rate 0.03, epochs 6"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four domains of two classes, reddish and bluish."""
    root = tmp_path_factory.mktemp("data") / "sets"
    random = np.random.default_rng(0)
    for place, domain in enumerate((HELD_OUT, *DOMAINS)):
        for label in range(2):
            for number in range(12):
                image = random.integers(0, 120, (8, 8, 3), dtype=np.uint8)
                image[:, :, 2 * label] += np.uint8(120 - 25 * place)
                image[0, 0] = MARK if domain == HELD_OUT else 0
                path = root / domain / ("red", "blue")[label] / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    return root


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Decoded images stay in a folder of these tests; a process that is killed has one thread, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCONFOUND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def file(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison above."""
    file = tmp_path_factory.mktemp("comparison") / "mine.toml"
    file.write_text(CONTENT.format(root=root))
    return file


@pytest.fixture(scope="module")
def finished(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It ran through."""
    out = tmp_path_factory.mktemp("finished") / "compare"
    assert main(["compare", str(file), "--out", str(out)]) == 0
    return out


def figures(out: Path) -> pd.DataFrame:
    frame = pd.read_csv(out / "comparison.csv", keep_default_na=False)
    return frame.drop(columns=["training_seconds", "evaluation_seconds"])


def best_of(out: Path, setting: str = "") -> dict[int, str]:
    """Seed -> folder of the candidate with the highest mean, from the run folders alone."""
    chosen = {}
    for seed in (0, 1):
        means = {}
        for candidate in (FIRST, SECOND):
            values = []
            for domain in DOMAINS:
                run = out / setting / candidate / f"without {domain}" / f"seed-{seed}"
                (found,) = json.loads((run / "evaluation.json").read_text())["evaluations"]
                values.append(found["tests"]["validation"]["classifier"]["value"])
            means[candidate] = sum(values) / len(values)
        assert means[FIRST] != means[SECOND]
        chosen[seed] = max(means, key=lambda candidate: means[candidate])
    return chosen


def chosen_of(frame: pd.DataFrame) -> dict[int, str]:
    rows = frame[(frame["row"] == "supervised") & frame["chosen"]]
    return {int(seed): str(run).split("/")[-2] for seed, run in zip(rows["seed"], rows["run"], strict=True)}


def test_each_candidate_gets_a_run_without_each_training_domain(file: Path, root: Path, tmp_path: Path) -> None:
    asked = completed(rows_of(str(file), methods=[*METHODS, *ALIASES]), CompareArguments(seeds=(3,)))
    tasks = tasks_of(asked, tmp_path / "out", ["--validation-share", "0.4"])
    assert [task.cell.run for task in tasks] == [
        "random/seed-3",
        *(
            run
            for candidate in (FIRST, SECOND)
            for run in (f"{candidate}/seed-3", *(f"{candidate}/without {domain}/seed-3" for domain in DOMAINS))
        ),
    ]
    assert tasks[2].title == f"{FIRST}, without cartoon, seed 3"
    # The runs that stand for rows are those of any other rule.
    others = completed(rows_of(str(file), methods=[*METHODS]), CompareArguments(seeds=(3,), select="oracle"))
    standing = [task.config for task in tasks if not task.cell.left_out]
    assert [task.config for task in tasks_of(others, tmp_path, ["--validation-share", "0.4"])] == standing
    for task in tasks[6:]:
        data = task.arguments.data
        assert (data.validation_domain, data.validation_share) == (task.cell.left_out, 0.0)
        assert (data.held_out, task.arguments.training.epochs) == (HELD_OUT, 6)
    assert differing_data(tasks) == ""


def test_the_candidate_with_the_highest_mean_stands_for_the_row(finished: Path, tmp_path: Path) -> None:
    cells = figures(finished)
    assert set(cells["status"]) == {"done"}
    assert chosen_of(cells) == best_of(finished)
    runs = cells.drop_duplicates("run")
    assert len(runs) == 2 + 2 * 2 * 4
    assert list(runs.groupby("left_out").size()) == [6, 4, 4, 4]
    inner = cells[cells["left_out"] != ""]
    assert set(inner["test"]) == {"validation"}
    assert not inner["chosen"].any()
    mean = inner[inner["metric"] == "classifier"].groupby(["seed", "candidate"])["value"].mean().unstack()
    names = {seed: f"supervised, {name}" for seed, name in mean.idxmax(axis=1).items()}
    assert names == best_of(finished)
    # Neither a row nor a seed of their own.
    summary = pd.read_csv(finished / "summary.csv")
    classifier = summary[(summary["test"] == "test") & (summary["metric"] == "classifier")]
    assert list(classifier["row"]) == ["supervised"]
    assert list(classifier["seeds"]) == [2]
    reached = cells[cells["chosen"] & (cells["test"] == "test") & (cells["metric"] == "classifier")]["value"]
    assert classifier["mean"].item() == pytest.approx(reached.mean())
    text = (finished / "comparison.md").read_text()
    assert "| supervised, chosen by leaving one training domain out |" in text
    assert "chosen by mean accuracy on each training domain left out, of 2 candidates: supervised: learning" in text
    assert "without" not in text
    # A run says itself what it is, and does it again.
    run = finished / SECOND / "without photo" / "seed-1"
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["data"]["validation_domain"] == "photo"
    assert main(["fit", "--recipe", str(run / "config.toml"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "encoder.safetensors").read_bytes() == (run / "encoder.safetensors").read_bytes()


def test_who_chooses_never_sees_the_domain_that_is_held_out(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}

    def note(what: str, run: str, dataset: Dataset) -> None:
        sources: dict[str, Source | None] = {
            "train": dataset.train,
            "labelled": dataset.labelled,
            "foreground": dataset.train_foreground,
            "validation": dataset.validation,
            **dataset.tests,
            **dataset.adversarial,
        }
        for part, source in sources.items():
            if source is None:
                continue
            assert source.names is not None
            found = {name.split("/")[0] for name in source.names}
            (batch,) = source.batches([torch.arange(len(source))])
            assert isinstance(batch.inputs, torch.Tensor)
            marked = bool((batch.inputs[:, :, 0, 0] == MARK).any())
            assert marked == (HELD_OUT in found)
            seen.setdefault(run, set()).update((f"{what} {part}", domain) for domain in found)

    fit_run, evaluate = unconfound.comparison.cell.fit_run, unconfound.comparison.cell.evaluate

    def fitting(method: str, arguments: Any, *, dataset: Dataset) -> Fitted:
        note("fit", str(arguments.out.relative_to(tmp_path / "out")), dataset)
        return fit_run(method, arguments, dataset=dataset)

    def evaluating(encoder: Any, dataset: Dataset, *, name: str, **keywords: Any) -> Any:
        note("judge", name, dataset)
        return evaluate(encoder, dataset, name=name, **keywords)

    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", fitting)
    monkeypatch.setattr(unconfound.comparison.cell, "evaluate", evaluating)
    assert main(["compare", str(file), "--out", str(tmp_path / "out"), "--seeds", "0"]) == 0
    for candidate in (FIRST, SECOND):
        for left_out in DOMAINS:
            learnt = [domain for domain in DOMAINS if domain != left_out]
            trained = {
                (f"{what} {part}", each)
                for what in ("fit", "judge")
                for part in ("train", "labelled")
                for each in learnt
            }
            found = seen[f"{candidate}/without {left_out}/seed-0"] | seen[f"{candidate}, without {left_out}, seed 0"]
            assert found == trained | {("fit validation", left_out), ("judge validation", left_out)}
        # The run that stands for the row learns from all of them and is tested, as ever.
        standing = seen[f"{candidate}/seed-0"] | seen[f"{candidate}, seed 0"]
        assert {domain for part, domain in standing if part == "fit train"} == set(DOMAINS)
        assert {domain for part, domain in standing if part.endswith(" test")} == {HELD_OUT}


def test_what_is_done_is_not_run_again_and_an_overwrite_removes_all(
    file: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", None)
    before = (out / "comparison.csv").read_text()
    assert main(["compare", str(out / "comparison.toml"), "--out", str(out), "--resume"]) == 0
    assert (out / "comparison.csv").read_text() == before
    # Another rule asks for nothing more.
    assert main(["compare", str(file), "--out", str(out), "--resume", "--select", "oracle"]) == 0
    assert "left_out" not in figures(out).columns
    monkeypatch.undo()
    flags = ["--held-out", "photo", "--select", "validation"]
    assert main(["compare", str(file), "--out", str(out), "--seeds", "0", "--overwrite", *flags]) == 0
    assert len(list(out.rglob("config.toml"))) == 3


def test_a_kill_leaves_no_trace(context: Any, file: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["compare", str(file), "--out", str(out), "--resume"]
    # Between the last checkpoint of a training without a domain and its encoder.
    process = context.Process(target=comparison_runs.go_on, args=(command,), kwargs={"kill": "save_encoder", "call": 4})
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(out.rglob("evaluation.json"))) == 3
    assert main(command) == 0
    pd.testing.assert_frame_equal(figures(out), figures(finished))


def test_a_failed_run_passes_its_candidate_over(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_run, failing = unconfound.comparison.cell.fit_run, {f"{SECOND}/without photo/seed-0"}

    def fitting(method: str, arguments: Any, **keywords: Any) -> Fitted:
        run = str(arguments.out.relative_to(tmp_path / "out"))
        if run in failing:
            raise ValueError("diverged")
        if run == f"{FIRST}/without sketch/seed-0" and len(failing) == 1:
            raise TrainingStopped("as asked", signal.SIGTERM)
        return fit_run(method, arguments, **keywords)

    monkeypatch.setattr(unconfound.comparison.cell, "fit_run", fitting)
    command = ["compare", str(file), "--out", str(tmp_path / "out"), "--seeds", "0"]
    assert main(command) == 143
    # Stopped before all runs of a candidate are done: nothing is chosen yet.
    assert chosen_of(figures(tmp_path / "out")) == {}
    failing.add("another")
    assert main([*command, "--resume"]) == 0
    assert chosen_of(figures(tmp_path / "out")) == {0: FIRST}
    printed = " ".join(capsys.readouterr().out.split())
    assert f"failed: {SECOND}, without photo, seed 0: diverged" in printed
    assert "1 of 9 cells failed" in printed
    # A candidate that has failed is tried again, and may be the better one.
    failing.remove(f"{SECOND}/without photo/seed-0")
    assert main([*command, "--resume"]) == 0
    assert set(figures(tmp_path / "out")["status"]) == {"done"}


def test_each_setting_leaves_out_its_own_domains(file: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = file.read_text().replace(f'held_out = "{HELD_OUT}"', "").replace("seeds = [0, 1]", "seeds = [0]")
    (tmp_path / "each.toml").write_text(text)
    over = ["--over", "held_out=photo,sketch"]
    assert main(["compare", str(tmp_path / "each.toml"), "--out", str(out), *over]) == 0
    cells = figures(out)
    for setting, left in (
        ("photo", ["", HELD_OUT, "cartoon", "sketch"]),
        ("sketch", ["", HELD_OUT, "cartoon", "photo"]),
    ):
        within = cells[(cells["setting"] == f"held out {setting}") & (cells["row"] == "supervised")]
        assert sorted(within["left_out"].unique()) == sorted(left)
        inner = within[(within["left_out"] != "") & (within["metric"] == "classifier")]
        best = inner.groupby("candidate")["value"].mean().idxmax()
        assert set(within[within["chosen"]]["candidate"]) == {best}
    assert (out / "held out photo" / FIRST / "without art painting" / "seed-0" / "encoder.json").is_file()
    text = (out / "comparison.md").read_text()
    assert "**average over settings: " in text
    assert "of 2 candidates: held out sketch, supervised: learning rate" in text
    encoders = len(list(out.rglob("encoder.json")))
    flags = ["--data", "domains", "--data-root", str(root), "--held-out", "photo", "--epochs", "1"]
    assert main(["compare", "random", "--out", str(out), "--overwrite", *flags]) == 0
    assert (encoders, len(list(out.rglob("encoder.json")))) == (2 * 9, 3)


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        (
            ('data = "domains"', 'data = "demo"'),
            "leave-one-domain-out, which takes --data domains, not demo: give those",
        ),
        (('"art painting"', '"fotograf"'), "row supervised: there is no domain 'fotograf': use one of art painting"),
        (
            ('held_out = "art painting"', ""),
            "domains need one to test on: choose --held-out from art painting, cartoon",
        ),
        (('"art painting"', '"photo"\nvalidation_domain = "sketch"'), "leave --validation-domain sketch out, or give"),
        (('"art painting"', '"photo"\nunseen_classes = true'), 'give --no-unseen-classes, or --select "validation'),
        (("leave-one-domain-out", "leave-one-out"), "cannot choose by 'leave-one-out': did you mean 'leave-one-domain"),
        (("sets", "few"), "needs three domains or more, one to test on, one to leave out and one to train on: "),
        (("sets", "nowhere"), "there is none; nothing is downloaded"),
        (("sets", "mixed"), "the domain photo of"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    replaced: tuple[str, str], expected: str, root: Path, tmp_path: Path, mistake: Callable[[list[str], str], None]
) -> None:
    for name, kept in (("few", (HELD_OUT, "photo")), ("mixed", (HELD_OUT, *DOMAINS))):
        for domain in kept:
            shutil.copytree(root / domain, tmp_path / name / domain)
    shutil.rmtree(tmp_path / "mixed" / "photo" / "red")
    text = CONTENT.format(root=root)
    assert replaced[0] in text
    if replaced[0] == "sets":
        replaced = (str(root), str(tmp_path / replaced[1]))
    (tmp_path / "mine.toml").write_text(text.replace(*replaced))
    mistake(["compare", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")], expected)
    assert not (tmp_path / "out").exists()


def test_without_candidates_the_rule_has_nothing_to_do(tmp_path: Path) -> None:
    asked = rows_of(["random", "supervised"], methods=list(METHODS))
    for select in (None, "leave-one-domain-out"):
        tasks = tasks_of(completed(asked, CompareArguments(seeds=(0,), select=select)), tmp_path, ["--data", "demo"])
        assert [task.cell.run for task in tasks] == ["random/seed-0", "supervised/seed-0"]
