from __future__ import annotations

import numpy as np
import pytest
import torch

import unconfound
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.encoders import build_encoder, read_card, save_encoder
from unconfound.recipes import read_recipe


def test_a_run_on_estimated_masks_is_evaluated_on_swapped_backgrounds_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(20, 40, (40, 16, 16, 3), dtype=np.uint8)
    for sample in range(40):
        images[sample, 3 + sample % 5 : 8 + sample % 5, 3 + sample // 8 : 8 + sample // 8] = 200
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    fitted = unconfound.fit(
        "random", data=tmp_path / "a.npz", masks="estimate", encoder="convnet", width=4, depth=1, out=tmp_path / "run"
    )
    assert read_recipe(str(fitted.run / "config.toml")).sections["data"]["masks"] == "estimate"
    (evaluation,) = unconfound.evaluate(fitted.run)
    assert {"mixed-same", "mixed-rand"} <= set(evaluation.tests)
    said = "all masks are estimated from the images; estimated masks are usable here"
    assert evaluation.notes[-1].startswith(said)
    assert said in (fitted.run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def tables(tmp_path):
    """A table that a run learns from, and another one with other categories, other numbers and an added column."""
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{'abc'[row % 3]},{['no', 'yes'][row % 2]}" for row in range(60)]
    (tmp_path / "learnt.csv").write_text("\n".join(["size,kind,answer", *rows]))
    rows = [f"{30 + 5 * rng.normal():.3f},{row},{'bc'[row % 2]},{['no', 'yes'][row % 2]}" for row in range(40)]
    (tmp_path / "other.csv").write_text("\n".join(["size,added,kind,answer", *rows]))
    fitted = unconfound.fit("random", data=tmp_path / "learnt.csv", label="answer", out=tmp_path / "run")
    return fitted.run, tmp_path / "other.csv"


def test_another_table_is_encoded_as_that_of_the_run(tables, monkeypatch):
    run, other = tables
    seen = []
    monkeypatch.setattr(
        "unconfound.report.audit.audit_encoders", lambda encoders, dataset, **_: seen.append(dataset) or []
    )
    unconfound.evaluate(run, other)
    (dataset,) = seen
    assert dataset.train.schema.shape == read_card(run).schema.shape
    (rows,) = dataset.train.batches([torch.arange(len(dataset.train))])
    sizes = rows.inputs[:, list(dataset.restore["columns"]).index("size")]
    assert sizes.min() > 3  # far from the mean of what was learnt, and not standardised anew
    # A fifth of each class is tested, as of any table, whose probe is fitted on the others.
    assert (len(dataset.train), len(dataset.tests["test"])) == (32, 8)


@pytest.mark.parametrize(("role", "had"), [("label", ", 'answer'"), ("group", ": it has none")])
def test_another_label_or_group_than_that_of_the_run_is_refused(tables, role, had):
    run, other = tables
    with pytest.raises(ValueError, match=rf"--{role} kind is not what .*run was read with{had}: leave it out"):
        unconfound.evaluate(run, other, **{role: "kind"})


def saved(folder, modality, **restore):
    """A run folder with an encoder that was not trained; its data are named and never read."""
    schema = Schema(modality, {"images": (3, 16, 16), "tables": (2,)}[modality], ("no", "yes"))
    folder.mkdir()
    (folder / "config.toml").write_text('method = "random"\n\n[data]\ndata = "adult"\n')
    encoder = build_encoder({"images": "convnet", "tables": "mlp"}[modality], schema, width=4, depth=1)
    save_encoder(folder, encoder, schema=schema, restore=restore)
    return folder


def test_runs_that_take_other_inputs_are_refused_before_the_first_is_measured(tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("nothing may be read or measured")

    monkeypatch.setattr("unconfound.report.audit.audit_encoders", never)
    monkeypatch.setattr("unconfound.loading.load", never)
    kinds = [{"name": "kind", "kind": "category", "categories": list("ab"), "missing": False}]
    first = saved(tmp_path / "first", "tables", kind="table", encoding={"columns": kinds})
    same = saved(tmp_path / "same", "tables", kind="table", encoding={"columns": kinds})
    kinds = [kinds[0] | {"categories": list("bc")}]
    other = saved(tmp_path / "other", "tables", kind="table", encoding={"columns": kinds})
    images = saved(tmp_path / "images", "images", kind="images", image_size=16, channels=3)
    with pytest.raises(ValueError, match=r"first takes tables, .*images images: evaluate each by itself"):
        unconfound.evaluate([first, same, images])
    message = "first takes in the column 'kind' the categories a, .*other c: evaluate each by itself"
    for data in (None, tmp_path / "other.csv", Dataset(row_source(), {}, row_source())):
        with pytest.raises(ValueError, match=message):
            unconfound.evaluate([first, other], data)
    with pytest.raises(AssertionError, match="nothing may be read"):
        unconfound.evaluate([first, same])


def test_runs_that_were_trained_on_test_samples_of_the_first_are_refused(tmp_path):
    first, same, other = (saved(tmp_path / name, "tables", kind="table") for name in ("first", "same", "other"))
    for run, seed in ((same, 0), (other, 3)):
        (run / "config.toml").write_text(f'method = "random"\n\n[data]\ndata = "adult"\ndata_seed = {seed}\n')
    message = "other was trained with --data-seed 3, not 0 as .*first, so its training samples are among"
    with pytest.raises(ValueError, match=message):
        unconfound.evaluate([first, same, other])
    # Other data have no samples that it was trained on.
    with pytest.raises(FileNotFoundError, match=r"no file, folder or data set .*other\.csv"):
        unconfound.evaluate([first, same, other], tmp_path / "other.csv")


def row_source():
    return MemorySource("rows", Schema("tables", (2,), ("no", "yes")), torch.zeros(4, 2), torch.arange(4) % 2)
