from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from unconfound.data.load import load_dataset


def people(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 60, rows),
            "work": rng.choice(["office", "field", "home"], rows),
            "sex": rng.choice(["Female", "Male"], rows),
            "country": ["here"] * rows,
            "year": [2020] * rows,
            "card": [f"id{number}" for number in range(rows)],
        }
    )
    return frame.assign(income=np.where(frame.age + rng.normal(0, 5, rows) > 40, "high", "low"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    people().to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_all_features_of_the_named_columns_are_exchanged_together(table: Path) -> None:
    dataset = load_dataset(table, label="income", nuisance=("sex", "work"))
    nuisance = dataset.train.nuisance
    assert nuisance.words == "the columns sex and work"
    chosen = [name for name, is_in in zip(dataset.restore["columns"], nuisance.features, strict=True) if is_in]
    assert chosen == ["work=field", "work=home", "work=office", "sex=Female", "sex=Male"]
    assert f"nuisance: the columns sex and work, 5 of {len(nuisance.features)} features" in dataset.train.notes
    assert list(dataset.tests) == ["original", "mixed-same", "mixed-rand"]
    ones, others = torch.zeros(2, len(nuisance.features)), torch.ones(2, len(nuisance.features))
    assert nuisance.exchanged(ones, others, torch.zeros(2))[0].tolist() == nuisance.features.float().tolist()


def test_one_column_and_places_of_a_column_of_lists(tmp_path: Path) -> None:
    frame = people().assign(embedding=[list(row) for row in np.random.default_rng(0).random((60, 3))])
    frame.to_parquet(tmp_path / "people.parquet")
    nuisance = load_dataset(tmp_path / "people.parquet", label="income", nuisance=("embedding",)).train.nuisance
    assert nuisance.words == "the column embedding"
    assert int(nuisance.features.sum()) == 3


@pytest.mark.parametrize(
    ("nuisance", "message"),
    [
        ("sexx", "nuisance 'sexx' is no column: did you mean 'sex'?"),
        ("income", "nuisance 'income' is the label, which is to be learnt: name other columns"),
        ("country", "nuisance 'country' has one value in all training rows, so an exchange changes nothing"),
        ("year", "nuisance 'year' has one value in all training rows, so an exchange changes nothing"),
        ("card", "nuisance 'card' cannot be exchanged: column 'card' is left out: 48 categories in 48 rows name rows"),
    ],
)
def test_columns_that_are_no_nuisance(table: Path, nuisance: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as error:
        load_dataset(table, label="income", nuisance=(nuisance,))
    assert "\n" not in str(error.value)


def test_the_group_and_all_columns_are_refused(table: Path) -> None:
    with pytest.raises(ValueError, match="nuisance 'sex' is the group, which is no feature of a row: leave --group"):
        load_dataset(table, label="income", group="sex", nuisance=("sex",))
    people()[["age", "sex", "income"]].to_csv(table, index=False)
    with pytest.raises(ValueError, match="nuisance names all columns, which leaves nothing to learn from"):
        load_dataset(table, label="income", nuisance=("age", "sex"))


@pytest.mark.parametrize(
    ("how", "given", "message"),
    [
        (
            {},
            {"nuisance": ("sex",)},
            "--nuisance names columns of a table, and the data are images: the nuisance of im",
        ),
        (
            {"rows": True},
            {"nuisance": ("sex",)},
            "--nuisance names columns of a table, and the data are rows of pixels",
        ),
        ({"series": True}, {"nuisance": ("sex",)}, "--nuisance names columns of a table, and the data are series"),
        (
            {"series": True},
            {"nuisance_snr": (0.0, 10.0)},
            "--nuisance-snr names backgrounds of recordings, and the data",
        ),
        ({}, {"nuisance_words": Path("words")}, "--nuisance-words names words of texts, and the data are images"),
    ],
)
def test_data_that_have_no_such_nuisance_are_refused(tmp_path: Path, how: dict, given: dict, message: str) -> None:
    np.save(tmp_path / "samples.npy", np.random.default_rng(0).integers(0, 256, (12, 9, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path / "samples.npy", **how, **given)
