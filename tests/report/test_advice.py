from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation.toy import CENTRE, confounded

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.tables.nuisance_columns import NuisanceColumns
from unconfound.encoders import build_encoder, save_encoder
from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report.advice import Commands, advice_on, closing_advice


def evaluated(gap: float, low: float, **others: object) -> Evaluation:
    return Evaluation("a", {}, background={"background_gap": Figure(gap, low, 1.0, 9)}, **others)


def data(*, masks: bool) -> Dataset:
    dataset = confounded(30, 9)
    if not masks:
        return dataset
    shown = torch.zeros(30, 1, 8, 8, dtype=torch.bool)
    shown[CENTRE] = True
    train = replace(dataset.train, masks=shown)
    return replace(dataset, train=train, labelled=train)


@pytest.fixture
def run(tmp_path: Path):
    def make(name: str = "run", *, data: str = "demo", nuisance: Sequence[str] = (), **provenance: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        section = f"[data]\ndata = {json.dumps(data)}\n" if data else ""
        section += f"nuisance = {json.dumps(nuisance)}\n" if nuisance else ""
        (folder / "config.toml").write_text(f'method = "simclr"\n{section}')
        schema = confounded(30, 9).train.schema
        encoder = build_encoder("convnet", schema, width=2, depth=1)
        save_encoder(folder, encoder, schema=schema, provenance={"trained": True} | provenance)
        return folder

    return make


def test_a_run_with_masks_is_mended_or_trained_anew(run) -> None:
    folder = run()
    assert advice_on(evaluated(0.3, 0.1), data(masks=True), folder) == (
        f"To lower the gap of 30.0 points: unconfound mend {folder}",
        f"To train it anew on exchanged backgrounds: unconfound fit --recipe {folder}/config.toml --exchange 1 "
        f"--out {folder}-exchanged",
    )
    assert advice_on(evaluated(0.3, 0.0), data(masks=True), folder) == ()


@pytest.mark.parametrize("own", ["classifier", "linear_probe"])
def test_what_a_new_classifier_costs_is_said_where_it_gains_less(own: str, run) -> None:
    def with_shares(original: float, random: float, exchanged: tuple[float, float]) -> Evaluation:
        shares = {"original": (original, exchanged[0]), "mixed-rand": (random, exchanged[1])}
        # The classifier's own figures go before those of a probe.
        tests = {
            test: {
                predictor: Figure(share, share - 0.02, share + 0.02, 999)
                for predictor, share in zip((own, "exchanged_probe"), pair, strict=True)
            }
            for test, pair in shares.items()
        }
        gap = Figure(0.3, 0.1, 1.0, 9)
        suffix = {"classifier": "_classifier", "linear_probe": ""}[own]
        return Evaluation("a", tests, background={f"background_gap{suffix}": gap})

    warning, mend = advice_on(with_shares(0.92, 0.45, (0.46, 0.47)), data(masks=True), None)
    assert "46.0 % of original (now 92.0 %) and 47.0 % of mixed-rand (now 45.0 %)" in warning
    assert mend.endswith("unconfound.mend(encoder, dataset)")
    assert ":" not in warning  # what follows one is shown as a command
    folder = run()
    _, mend, _ = advice_on(with_shares(0.92, 0.45, (0.46, 0.47)), data(masks=True), folder)
    assert mend.endswith(f"unconfound mend {folder} --how fine-tune")
    named = Commands(mend="mend resnet50", fine_tune="mend resnet50 --how fine-tune")
    *_, mend = advice_on(with_shares(0.92, 0.45, (0.46, 0.47)), data(masks=True), None, commands=named)
    assert mend.endswith(": mend resnet50 --how fine-tune")
    (mend,) = advice_on(with_shares(0.8, 0.3, (0.66, 0.64)), data(masks=True), None, commands=named)
    assert mend.endswith(": mend resnet50")
    # What is lost is within the error of 2 points.
    assert len(advice_on(with_shares(0.6, 0.56, (0.59, 0.55)), data(masks=True), None)) == 1


def test_flags_give_masks_where_the_training_images_have_none(run) -> None:
    folder, other = run(), run("other", data="path/to/folder")
    (line,) = advice_on(evaluated(0.3, 0.1), data(masks=False), folder)
    assert line.endswith(f"unconfound mend {folder} --masks estimate")
    # The masks were given to the evaluation, and the run does not know them.
    assert all(line.endswith(" --masks FOLDER") for line in advice_on(evaluated(0.3, 0.1), data(masks=True), other))


def test_what_was_mended_is_fine_tuned(run) -> None:
    first = run()
    mended = run("mended", mended={"way": "refit", "from": str(first)})
    tuned = run("tuned", mended={"way": "fine-tune", "from": str(first)})
    (line,) = advice_on(evaluated(0.3, 0.1), data(masks=True), mended)
    assert line.endswith(f"unconfound mend {first} --how fine-tune --out {first}-fine-tuned")
    (line,) = advice_on(evaluated(0.3, 0.1), data(masks=True), tuned)
    assert line.endswith(f"unconfound mend {tuned}")


def test_a_run_with_a_nuisance_is_mended_or_trained_anew(run) -> None:
    nuisance = NuisanceColumns("the column site", torch.tensor([False, True]))
    rows = MemorySource("rows", Schema("tables", (2,), ("a",)), torch.zeros(3, 2), torch.zeros(3).long())
    rows.nuisance = nuisance
    dataset = Dataset(train=rows, labelled=rows, tests={"original": rows})
    folder = run(data="table.csv", nuisance=["site"])
    anew = f"unconfound fit --recipe {folder}/config.toml --exchange 1 --out {folder}-exchanged"
    assert advice_on(evaluated(0.3, 0.1), dataset, folder) == (
        f"To lower the gap of 30.0 points: unconfound mend {folder}",
        f"To train it anew with the column site exchanged: {anew}",
    )
    # The nuisance was named for the evaluation, and the run does not know it.
    for line in advice_on(evaluated(0.3, 0.1), dataset, run("other", data="table.csv")):
        assert line.endswith(" --nuisance COLUMN")
    assert advice_on(evaluated(0.3, 0.1), dataset, None)[0].endswith(": unconfound.mend(encoder, dataset)")


def test_an_encoder_without_a_run_is_mended_in_python() -> None:
    assert advice_on(evaluated(0.3, 0.1), data(masks=True), None) == (
        "To lower the gap of 30.0 points: unconfound.mend(encoder, dataset)",
    )


def test_where_nothing_was_measured_masks_are_asked_for(run) -> None:
    folder, dataset = run(), data(masks=False)
    (line,) = advice_on(Evaluation("a", {}), dataset, folder)
    assert line.endswith(f": unconfound evaluate {folder} --masks estimate")
    (line,) = advice_on(Evaluation("a", {}), replace(dataset, mask_note="useless"), folder)
    assert "give --masks FOLDER" in line


def test_a_worst_group_that_is_far_below_is_told_without_a_gap() -> None:
    def with_groups(worst: float) -> Evaluation:
        figures = {"linear_probe": Figure(0.9, 0.88, 0.92, 90), "worst_group": Figure(worst, 0.1, worst + 0.1, 9)}
        return replace(evaluated(0.0, -0.1), tests={"original": figures})

    (line,) = advice_on(with_groups(0.4), data(masks=True), None)
    assert line.startswith("To raise the accuracy of the worst group, 40.0 %, train with dfr or group-dro")
    assert advice_on(with_groups(0.85), data(masks=True), None) == ()


def test_the_terminal_ends_with_what_is_said_of_the_largest_gap() -> None:
    small, large = evaluated(0.2, 0.1, advice=("small",)), evaluated(0.4, 0.1, advice=("large",))
    assert closing_advice([small, large]) == ("large",)
    assert closing_advice([evaluated(0.5, 0.1), small]) == ("small",)
    assert closing_advice([Evaluation("a", {}), Evaluation("b", {}, advice=("b",))]) == ("b",)
    assert closing_advice([]) == ()
