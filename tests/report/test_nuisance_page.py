from __future__ import annotations

import json

import numpy as np
import pandas as pd
import torch

from unconfound import audit, load


def test_the_page_says_what_was_exchanged_and_what_it_costs(tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    told = np.where(rng.random(200) < 0.95, label, 1 - label)
    frame = pd.DataFrame({"site": np.array(["a", "b"])[told], "age": rng.integers(20, 60, 200), "ill": label})
    frame.to_csv(tmp_path / "table.csv", index=False)
    dataset = load(tmp_path / "table.csv", label="ill", nuisance=("site",), test_share=0.5)
    # An encoder that passes rows on relies on what tells the class in them.
    (evaluation,) = audit({"rows": lambda rows: rows}, dataset, out=tmp_path / "audit")
    assert evaluation.background["background_gap"].low > 0.2
    page = (tmp_path / "audit/report.html").read_text()
    assert "How much rows relies on the column site" in page
    assert "When test samples get the column site of samples of random classes" in page
    assert "“rows” relies on the column site" in page
    assert "What an exchanged nuisance costs" in page
    assert "Each query has the column site of a sample of a random class" in page
    assert "nuisance: the column site, 2 of 3 features" in page
    assert "random background" not in page
    assert "background swaps" not in page
    assert "exchange the column site" in capsys.readouterr().err
    stored = json.loads((tmp_path / "audit/evaluation.json").read_text())
    assert "background_gap" in json.dumps(stored)
    ones = torch.ones(2, 3)
    assert dataset.train.nuisance.exchanged(ones, 0 * ones, ones[:, 0]).tolist() == [[0, 0, 1], [0, 0, 1]]
