"""Data for an encoder that is trained on: its features, and classes, groups and test samples of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from unconfound.data.core.features_alone import features_alone
from unconfound.data.load import DataOptions, load_dataset

ROWS = {"age": [*range(20, 60)], "city": ["north", "south"] * 20, "sex": ["f", "m", "m", "f"] * 10}


def written(path: Path, **columns: object) -> str:
    pd.DataFrame(ROWS | columns).to_csv(path, index=False)
    return str(path)


def test_a_table_has_the_columns_of_the_run_and_classes_of_its_own(tmp_path: Path) -> None:
    first = written(tmp_path / "first.csv", income=["high", "low"] * 20)
    before = load_dataset(DataOptions(data=first, label="income", group="sex"))
    second = written(tmp_path / "second.csv", age=[*range(40, 80)], married=["yes", "no", "no", "yes"] * 10, more=1)
    options = DataOptions(data=second, label="married", group="sex")
    after = load_dataset(options, restore=features_alone(before.restore))
    assert after.train.schema.classes == ("no", "yes")
    assert after.train.schema.groups == (
        "married=no, sex=f",
        "married=no, sex=m",
        "married=yes, sex=f",
        "married=yes, sex=m",
    )
    # As without a run: the same rows test.
    alone = load_dataset(options)
    assert len(after.tests["test"]) == len(alone.tests["test"])
    assert after.tests["test"].names == alone.tests["test"].names
    batch = next(after.train.batches([torch.arange(len(after.train))])).inputs
    assert isinstance(batch, torch.Tensor)
    assert batch.shape[1] == before.train.schema.shape[0]
    ages = torch.tensor([ROWS["age"][int(name)] + 20 for name in after.train.names or ()], dtype=torch.float)
    scale = before.restore["encoding"]["columns"][0]  # type: ignore[index]
    low, high = (20, 59) if "low" not in scale else (scale["low"], scale["high"])
    torch.testing.assert_close(batch[:, 0], (ages - low) / (high - low), rtol=1e-4, atol=0.05)
    assert "columns that the encoder does not know are left out: 'more'" in after.train.notes
    encodings = before.restore["encoding"], after.restore["encoding"]
    assert encodings[0]["columns"] == encodings[1]["columns"]  # type: ignore[index]


def test_a_label_that_was_a_feature_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv")
    before = load_dataset(DataOptions(data=path))
    with pytest.raises(ValueError, match=r"label column 'city' of .* is a feature of the encoder, .*with --label city"):
        load_dataset(DataOptions(data=path, label="city"), restore=features_alone(before.restore))
    written(tmp_path / "fewer.csv")
    pd.DataFrame({"age": [1, 2, 3]}).to_csv(tmp_path / "fewer.csv", index=False)
    with pytest.raises(ValueError, match="lacks the columns city, sex, on which the encoder was trained"):
        load_dataset(DataOptions(data=str(tmp_path / "fewer.csv")), restore=features_alone(before.restore))


def test_texts_have_the_vocabulary_of_the_run(tmp_path: Path) -> None:
    for name, words in (("first", ["red dog", "blue cat"]), ("second", ["red bird", "blue dog"])):
        lines = [{"text": words[row % 2], "label": name + "ab"[row % 2]} for row in range(20)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = load_dataset(DataOptions(data=str(tmp_path / "first.jsonl"), text="text", label="label"))
    options = DataOptions(data=str(tmp_path / "second.jsonl"), text="text", label="label")
    after = load_dataset(options, restore=features_alone(before.restore))
    assert after.train.schema.shape == before.train.schema.shape
    assert after.train.schema.classes == ("seconda", "secondb")
    assert after.tests["test"].names == load_dataset(options).tests["test"].names
    vocabularies = [dataset.restore["encoding"]["vocabulary"] for dataset in (before, after)]  # type: ignore[index]
    assert vocabularies[0] == vocabularies[1]


def test_what_is_said_of_parts_and_classes_is_left_out() -> None:
    graphs = {"node_features": "attributes", "attributes": 3, "classes": ["1", "2"]}
    restore = {"kind": "graphs", "unseen_classes": True, "encoding": graphs}
    kept = {"node_features": "attributes", "attributes": 3}
    assert features_alone(restore) == {"kind": "graphs", "encoding": kept}
    assert features_alone({"kind": "images", "image_size": 8}) == {"kind": "images", "image_size": 8}
