from __future__ import annotations

from dataclasses import replace

import pandas as pd
import torch
from methods.toy import grouped_source

from unconfound.training.sample_table import write_samples


def test_a_row_says_what_was_learnt_of_a_sample(tmp_path):
    source = grouped_source(4)
    source = replace(source, labels=torch.tensor([2, 0, -1, 1]), names=["w", "x", "y", "z"])
    path = tmp_path / "samples.parquet"
    write_samples(path, source, {"wrong": torch.tensor([True, False, False, True]), "weight": torch.arange(4.0)})
    table = pd.read_parquet(path)
    assert list(table.columns) == ["index", "name", "label", "group", "wrong", "weight"]
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table["label"].fillna("none").tolist() == ["c", "a", "none", "b"]
    assert table["group"].tolist() == [source.schema.groups[each] for each in source.groups.tolist()]
    assert table["wrong"].tolist() == [True, False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]


def test_columns_that_are_not_known_are_left_out(tmp_path):
    source = replace(grouped_source(3), labels=None, groups=None)
    write_samples(tmp_path / "samples.parquet", source, {"weight": torch.ones(3)})
    assert list(pd.read_parquet(tmp_path / "samples.parquet").columns) == ["index", "weight"]
