from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from unconfound.data import Dataset
from unconfound.data.tables.table import table
from unconfound.encoders import build_encoder, read_card
from unconfound.evaluation.embed import embed
from unconfound.methods import DACL
from unconfound.training import TrainingOptions, fit


def people(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 60, rows),
            "work": rng.choice(["office", "field", "home"], rows),
            "sex": rng.choice(["Female", "Male"], rows),
            "income": rng.choice(["<=50K", ">50K"], rows, p=[0.75, 0.25]),
        }
    )


def saved(frame: pd.DataFrame, folder: Path, name: str = "people.csv") -> Path:
    frame.to_csv(folder / name, index=False)
    return folder / name


def test_features_labels_groups_and_names(tmp_path: Path) -> None:
    frame = people()
    dataset = table(saved(frame, tmp_path), label="income", group="sex")
    assert dataset.restore["columns"] == ["age", "work=field", "work=home", "work=office"]
    schema = dataset.train.schema
    assert schema.modality == "tables"
    assert schema.shape == (4,)
    assert schema.classes == ("<=50K", ">50K")
    assert schema.groups == (
        "income=<=50K, sex=Female",
        "income=<=50K, sex=Male",
        "income=>50K, sex=Female",
        "income=>50K, sex=Male",
    )
    rows = [int(name) for source in (dataset.train, dataset.tests["test"]) for name in source.names]
    assert sorted(rows) == list(range(200))
    assert len(dataset.tests["test"]) == pytest.approx(40, abs=1)
    train_rows = [int(name) for name in dataset.train.names]
    low, high = frame["age"][train_rows].min(), frame["age"][train_rows].max()
    for source in (dataset.train, dataset.tests["test"]):
        batch = next(source.batches([torch.arange(len(source))]))
        for sample, name in enumerate(source.names):
            person = frame.iloc[int(name)]
            assert batch.inputs[sample, 0].item() == pytest.approx((person["age"] - low) / (high - low), abs=1e-6)
            assert dataset.restore["columns"][1 + int(batch.inputs[sample, 1:].argmax())] == f"work={person['work']}"
            assert schema.classes[batch.labels[sample]] == person["income"]
            assert schema.groups[batch.groups[sample]] == f"income={person['income']}, sex={person['sex']}"
    assert any("'sex' makes the groups" in note for note in dataset.train.notes)


def test_a_stored_encoding_reads_new_files(tmp_path: Path) -> None:
    dataset = table(saved(people(), tmp_path), label="income", group="sex")
    stored = json.loads(json.dumps(dataset.restore))["encoding"]
    whole = table(saved(people(), tmp_path), test_share=0, encoding=stored)
    assert whole.tests == {}
    assert len(whole.train) == 200
    for source in (dataset.train, dataset.tests["test"]):
        batch = next(source.batches([torch.arange(len(source))]))
        rows = torch.tensor([int(name) for name in source.names])
        assert whole.train.inputs[rows].equal(batch.inputs)
        assert whole.train.labels[rows].equal(batch.labels)
        assert whole.train.groups[rows].equal(batch.groups)
    # Other columns in another order, without label and group: the same features.
    shuffled = people().assign(extra=1)[["extra", "work", "age"]]
    bare = table(saved(shuffled, tmp_path, "new.csv"), test_share=0, encoding=stored)
    assert bare.train.inputs.equal(whole.train.inputs)
    assert bare.train.labels is None
    assert bare.train.groups is None
    assert bare.labelled is None
    strange = people().replace({"income": {">50K": ">100K"}})
    odd = table(saved(strange, tmp_path, "odd.csv"), test_share=0, encoding=stored)
    assert ((odd.train.labels == -1) == torch.tensor((strange["income"] == ">100K").to_numpy())).all()
    assert any("unknown in training" in note for note in odd.train.notes)
    with pytest.raises(ValueError, match="lacks the columns work"):
        table(saved(people()[["age"]], tmp_path, "short.csv"), test_share=0, encoding=stored)


def test_rows_that_are_read_by_an_encoding_are_split_as_any(tmp_path: Path) -> None:
    path = saved(people(), tmp_path)
    first = table(path, label="income", group="sex", test_share=0.3, seed=4)
    again = table(path, test_share=0.3, seed=4, encoding=first.restore["encoding"])
    assert again.train.names == first.train.names
    assert again.tests["test"].names == first.tests["test"].names
    # What is split is the classes of the encoding: there is none in a table without their column.
    bare = table(saved(people().drop(columns="income"), tmp_path, "bare.csv"), encoding=first.restore["encoding"])
    assert (len(bare.train), len(bare.tests["test"])) == (160, 40)


def test_rows_without_a_label_or_group(tmp_path: Path) -> None:
    frame = people()
    frame.loc[:19, "income"] = None
    frame.loc[10:29, "sex"] = None
    dataset = table(saved(frame, tmp_path), label="income", group="sex")
    assert (dataset.train.labels == -1).sum() == 20
    assert (dataset.tests["test"].labels >= 0).all()
    assert len(dataset.labelled) == len(dataset.train) - 20
    assert (dataset.labelled.labels >= 0).all()
    for source in (dataset.labelled, dataset.tests["test"]):
        for name, group in zip(source.names, source.groups.tolist(), strict=True):
            assert dataset.train.schema.groups[group].endswith("sex=missing") == (10 <= int(name) < 30)
    assert any("'income': 20 of 200 rows have no value" in note for note in dataset.train.notes)


def test_without_label_and_group(tmp_path: Path) -> None:
    dataset = table(saved(people(), tmp_path))
    assert dataset.train.labels is None
    assert dataset.train.groups is None
    assert dataset.labelled is None
    assert len(dataset.train) == 160
    only_group = table(saved(people(), tmp_path), group="sex")
    assert only_group.train.schema.groups == ("sex=Female", "sex=Male")
    assert only_group.train.groups.unique().tolist() == [0, 1]
    assert table(saved(people(), tmp_path), test_share=0.0).tests == {}


@pytest.mark.parametrize("values", [[10, 9, 2], [True, False], [0.5, 1.5], ["b", "a"]])
def test_classes_are_in_their_own_order(tmp_path: Path, values: list) -> None:
    frame = people().assign(kind=pd.Series(np.resize(values, 200)).astype(object))
    frame.loc[0, "kind"] = None
    dataset = table(saved(frame, tmp_path), label="kind")
    assert dataset.train.schema.classes == tuple(str(value) for value in sorted(values))


def test_the_encoding_ignores_test_rows(tmp_path: Path) -> None:
    path = saved(people(), tmp_path)
    first = table(path, label="income")
    frame = people()
    frame.loc[[int(name) for name in first.tests["test"].names], ["age", "work"]] = [1000, "moon"]
    second = table(saved(frame, tmp_path), label="income")
    assert second.restore == first.restore
    assert any("unknown categories (moon)" in note for note in second.train.notes)


def test_the_seed_splits(tmp_path: Path) -> None:
    path = saved(people(), tmp_path)
    first, again, other = (table(path, label="income", seed=seed).train.names for seed in (0, 0, 1))
    assert first == again
    assert first != other


def read(tmp_path: Path, frame: pd.DataFrame, **options: object) -> Dataset:
    return table(saved(frame, tmp_path), **options)


def test_tables_that_cannot_be_learnt_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no label column 'incme': did you mean income"):
        read(tmp_path, people(), label="incme")
    with pytest.raises(ValueError, match="no group column 'gender': did you mean"):
        read(tmp_path, people(), label="income", group="gender")
    with pytest.raises(ValueError, match="label and group are both 'sex'"):
        read(tmp_path, people(), label="sex", group="sex")
    with pytest.raises(ValueError, match="no column besides label and group"):
        read(tmp_path, people()[["income", "sex"]], label="income", group="sex")
    with pytest.raises(ValueError, match="label column 'income' is empty"):
        read(tmp_path, people().assign(income=None), label="income")
    with pytest.raises(ValueError, match="200 different values in 200 rows: classes are needed"):
        read(tmp_path, people().assign(price=np.linspace(0, 1, 200)), label="price")
    with pytest.raises(ValueError, match="50 different values in 200 rows"):
        read(tmp_path, people().assign(price=np.resize(np.arange(50) / 7, 200)), label="price")
    with pytest.raises(ValueError, match="holds infinity"):
        read(tmp_path, people().assign(price=np.resize([1, np.inf], 200)), label="price")
    with pytest.raises(ValueError, match="column 'age' is infinite in row"):
        read(tmp_path, people().assign(age=np.inf))
    with pytest.raises(ValueError, match="test_share is 1"):
        read(tmp_path, people(), test_share=1.0)


def test_odd_columns_and_cells_reach_a_trained_encoder(tmp_path: Path) -> None:
    frame = people(60).assign(same=7, empty=None)
    frame.loc[:9, "age"] = None
    dataset = table(saved(frame, tmp_path), label="income")
    source = dataset.train
    torch.manual_seed(0)
    mean, deviation = source.statistics()
    encoder = build_encoder("mlp", source.schema, mean=mean, deviation=deviation, width=8, depth=2)
    training = TrainingOptions(epochs=2, batch_size=16, device="cpu", precision="32")
    fitted = fit(DACL(encoder, source.schema), dataset, out=tmp_path / "run", training=training)
    stored = json.loads(json.dumps(dict(read_card(fitted.run).restore)))["encoding"]

    def embedded(**changes: object) -> torch.Tensor:
        new = people(4, seed=1).assign(**{"same": 7, "empty": None} | changes)
        read = table(saved(new, tmp_path, "new.csv"), test_share=0, encoding=stored)
        return embed(fitted.encoder, read.train).features

    plain = embedded()
    assert plain.isfinite().all()
    # What training could not learn from says nothing: another constant, a column that was empty.
    assert embedded(same=9, empty=3).equal(plain)
    # Unknown categories are all alike, and unlike the known ones.
    unseen = embedded(work="moon")
    assert unseen.isfinite().all()
    assert unseen.equal(embedded(work=["sea", "sun", None, "sky"]))
    assert not unseen.equal(plain)
    # A missing number is the median, and said to be missing.
    missing = embedded(age=None)
    assert missing.isfinite().all()
    known = embedded(age=float(frame["age"][[int(name) for name in source.names]].median()))
    assert not missing.equal(known)


def test_adult(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "adult"
    lines = [line for line in (folder / "adult.names").read_text().splitlines() if ":" in line and line[0] != "|"]
    header = [*(line.split(":")[0] for line in lines), "income"]
    path = tmp_path / "adult.csv"
    path.write_text(", ".join(header) + "\n" + (folder / "adult.data").read_text())
    dataset = table(path, label="income", group="sex")
    assert len(dataset.train) + len(dataset.tests["test"]) == 32561
    assert len(dataset.train.schema.groups) == 4
    assert "native-country missing" in dataset.restore["columns"]
    inputs = next(dataset.train.batches([torch.arange(len(dataset.train))])).inputs
    assert inputs.isfinite().all()
    assert 0 <= inputs.min() <= inputs.max() <= 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_words_that_others_take_for_missing_are_classes_and_groups(tmp_path: Path, ending: str) -> None:
    frame = people().replace({"income": {">50K": "None"}, "sex": {"Male": "NA"}, "work": {"home": "null"}})
    frame.loc[:4, "income"] = None
    path = tmp_path / f"people.{ending}"
    getattr(frame, f"to_{ending}")(path, index=False)
    dataset = table(path, label="income", group="sex", test_share=0.0)
    assert dataset.train.schema.classes == ("<=50K", "None")
    assert dataset.train.schema.groups[1] == "income=<=50K, sex=NA"
    assert "work=null" in dataset.restore["columns"]
    assert (dataset.train.labels < 0).sum() == 5
    assert any("'income': 'None' is a value" in note for note in dataset.train.notes)
    again = table(path, test_share=0, encoding=json.loads(json.dumps(dataset.restore))["encoding"])
    assert again.train.labels.equal(dataset.train.labels)
    assert again.train.groups.equal(dataset.train.groups)


def test_a_file_in_another_country_s_form(tmp_path: Path) -> None:
    frame = people().assign(height=np.linspace(1.5, 2, 200).round(2), pay=np.arange(200) % 50 * 125 + 900)
    plain = table(saved(frame, tmp_path), label="income")
    written = frame.assign(pay=[f"{pay:,} €".replace(",", ".") for pay in frame["pay"]], work=frame["work"] + "ä")
    written.to_csv(tmp_path / "other.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    other = table(tmp_path / "other.csv", label="income")
    assert [column["kind"] for column in other.restore["encoding"]["columns"]] == ["number", "category", "category"] + [
        "number"
    ] * 2
    rows = [torch.arange(len(source.train)) for source in (plain, other)]
    batches = [next(data.train.batches([each])).inputs for data, each in zip((plain, other), rows, strict=True)]
    assert batches[0].equal(batches[1])
    again = table(tmp_path / "other.csv", test_share=0, encoding=json.loads(json.dumps(other.restore))["encoding"])
    assert again.train.inputs[[int(name) for name in other.train.names]].equal(batches[1])


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"people\.csv: column 'age' is infinite"):
        read(tmp_path, people().assign(age=np.inf))
