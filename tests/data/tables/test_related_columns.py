from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from unconfound.data.tables.columns import encode_columns, fit_columns
from unconfound.data.tables.related_columns import related_columns, related_note


def encoded(rows: int = 400):
    """A nuisance, a copy of it in other words, a noisy one, noise, and a column of one value."""
    rng = np.random.default_rng(0)
    sex = rng.integers(0, 2, rows)
    frame = pd.DataFrame(
        {
            "sex": np.array(["f", "m"])[sex],
            "title": np.array(["Ms", "Mr"])[sex],
            "height": 165 + 13 * sex + rng.normal(0, 7, rows),
            "city": rng.choice([f"city{number}" for number in range(20)], rows),
            "land": ["here"] * rows,
        }
    )
    columns, _ = fit_columns(frame)
    return torch.from_numpy(encode_columns(frame, columns)[0]), columns


def test_shares_are_those_of_least_squares():
    rows, columns = encoded()
    chosen = torch.zeros(rows.shape[1], dtype=torch.bool)
    chosen[:2] = True
    found = related_columns(rows, columns, chosen)
    assert list(found)[:2] == ["title", "height"]
    assert found["title"] == pytest.approx(1, abs=1e-6)
    values = rows.double().numpy()
    height = np.column_stack([np.ones(len(values)), values[:, 4]])
    wanted = values[:, :2]
    left = wanted - height @ np.linalg.lstsq(height, wanted, rcond=None)[0]
    share = 1 - (left**2).sum() / ((wanted - wanted.mean(0)) ** 2).sum() * (len(values) - 1) / (len(values) - 2)
    assert found["height"] == pytest.approx(share, abs=1e-6)
    # Twenty categories explain nothing by chance, and neither does a constant.
    assert abs(found["city"]) < 0.05
    assert abs(found["land"]) < 0.01


def test_the_note_names_what_still_tells_the_nuisance():
    rows, columns = encoded()
    chosen = torch.zeros(rows.shape[1], dtype=torch.bool)
    chosen[:2] = True
    note = related_note(rows, columns, chosen, words="the column sex")
    assert note.startswith("other columns still tell the column sex; each explains")
    assert "title (100%), height (4" in note
    assert "city" not in note
    chosen[:5] = True
    assert related_note(rows, columns, chosen, words="x") == ""


def test_a_column_with_as_many_features_as_rows_is_left_out():
    rows, columns = encoded()
    chosen = torch.zeros(rows.shape[1], dtype=torch.bool)
    chosen[:2] = True
    assert list(related_columns(rows[:15], columns, chosen)) == ["title", "height", "land"]
