from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data.columns import as_text, encode_columns, feature_names, fit_columns


def encoded(train: dict, new: dict | None = None) -> tuple[dict[str, list[float]], list[str]]:
    """Feature values by name, through JSON as a stored encoding goes."""
    fitted, notes = fit_columns(pd.DataFrame(train))
    fitted = json.loads(json.dumps(fitted))
    features, more = encode_columns(pd.DataFrame(train if new is None else new), fitted)
    assert features.dtype == np.float32
    return dict(zip(feature_names(fitted), features.T.tolist(), strict=True)), [*notes, *more]


def test_numbers_span_zero_to_one() -> None:
    features, notes = encoded({"age": [20, 30, 60], "weight": [1.5, -0.5, 0.5]})
    assert features == {"age": [0, 0.25, 1], "weight": [1, 0, 0.5]}
    assert notes == []
    new, _ = encoded({"age": [20, 30, 60]}, {"age": [0, 100.0]})
    assert new == {"age": [-0.5, 2]}


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=9
    ).filter(lambda values: any(value is not None for value in values))
)
def test_any_numbers_give_finite_features_in_order(values: list[float | None]) -> None:
    column = pd.Series(values, dtype="float64")
    features, _ = encoded({"value": column})
    found = np.array(features["value"])
    assert ((found >= 0) & (found <= 1)).all()
    known = column.notna().to_numpy()
    order = np.argsort(column[known].to_numpy(), kind="stable")
    assert (np.diff(found[known][order]) >= 0).all()
    assert features.get("value missing", [0.0] * len(values)) == (~known).astype(float).tolist()


def test_missing_numbers_are_the_median_and_flagged() -> None:
    train = {"age": [20, None, 30, 60, None]}
    features, notes = encoded(train)
    assert features == {"age": [0, 0.25, 0.25, 1, 0.25], "age missing": [0, 1, 0, 0, 1]}
    assert any("2 missing training cells become the median" in note for note in notes)
    whole, notes = encoded({"age": [20, 30, 60]}, {"age": [None, 60]})
    assert whole == {"age": [0.25, 1]}
    assert any("1 missing cells are the training median" in note for note in notes)


def test_constant_and_empty_columns_are_said() -> None:
    features, notes = encoded({"same": [7, 7], "empty": [None, None], "age": [1, 2]}, {"same": [7, 9], "age": [1, 2]})
    assert features == {"same": [0, 0], "age": [0, 1]}
    assert any("'same' has one value" in note for note in notes)
    assert any("'empty' is left out" in note for note in notes)


@pytest.mark.parametrize("kind", ["object", "str", "category"])
def test_categories(kind: str) -> None:
    train = {"colour": pd.Series(["red", "blue", None, "red"], dtype=kind)}
    features, notes = encoded(train)
    assert features == {
        "colour=blue": [0, 1, 0, 0],
        "colour=red": [1, 0, 0, 1],
        "colour missing": [0, 0, 1, 0],
    }
    assert any("1 missing training cells are a category of their own" in note for note in notes)
    new, notes = encoded(train, {"colour": ["red", "green", None]})
    assert list(zip(*new.values(), strict=True)) == [(0, 1, 0), (0, 0, 0), (0, 0, 1)]
    assert any("1 cells of unknown categories (green)" in note for note in notes)


def test_missing_where_training_lacked_none() -> None:
    features, notes = encoded({"colour": ["red", "blue", "red"]}, {"colour": [None, "red"]})
    assert features == {"colour=blue": [0, 0], "colour=red": [0, 1]}
    assert any("1 missing cells are all zeros" in note for note in notes)


def test_truth_values_and_whole_categories() -> None:
    features, _ = encoded({"smokes": [True, False, True], "code": pd.Series([1, 2, 1], dtype="category")})
    assert features == {
        "smokes=False": [0, 1, 0],
        "smokes=True": [1, 0, 1],
        "code=1": [1, 0, 1],
        "code=2": [0, 1, 0],
    }
    # The same codes, which a missing cell turned into floats.
    again, _ = encoded(
        {"code": pd.Series([1, 2, 1], dtype="category")}, {"code": pd.Series([2.0, None], dtype="category")}
    )
    assert again == {"code=1": [0, 0], "code=2": [1, 0]}


def test_dates_decimals_and_durations_are_numbers() -> None:
    days = ["2020-01-01", "2020-01-11", "2020-01-02"]
    for column in (days, pd.to_datetime(days), pd.to_datetime(days).date, pd.to_datetime(days, utc=True)):
        features, notes = encoded({"day": column})
        assert features["day"] == pytest.approx([0, 1, 0.1])
        assert any("read as a time" in note for note in notes)
    features, _ = encoded(
        {
            "price": [Decimal("1.5"), Decimal("2.5"), Decimal("2")],
            "wait": pd.to_timedelta([1, 3, 2], unit="h"),
        }
    )
    assert features == {"price": [0, 1, 0.5], "wait": [0, 1, 0.5]}
    # Stored as text, asked again as times: the same seconds.
    assert encoded({"day": days}, {"day": pd.to_datetime(days)})[0] == encoded({"day": days})[0]


def test_names_of_rows_are_left_out() -> None:
    many = [f"n{row // 2}" for row in range(2002)]
    features, notes = encoded({"id": [f"id {row}" for row in range(2002)], "many": many, "age": range(2002)})
    assert list(features) == ["age"]
    assert any("'id' is left out: 2,002 categories in 2,002 rows" in note for note in notes)
    assert any("'many' is left out: 1,001 categories" in note for note in notes)
    assert len(encoded({"some": [f"n{row // 2}" for row in range(2000)]})[0]) == 1000


@pytest.mark.parametrize(
    ("train", "match"),
    [
        ({"age": [1.0, np.inf, 2.0]}, "column 'age' is infinite in row 1"),
        ({"wave": [1 + 2j, 3j]}, "complex numbers"),
        ({"list": [[1], [2]]}, "column 'list' holds a list"),
        ({"bytes": [b"a", b"b", b"a"]}, "column 'bytes' holds a bytes"),
        ({"id": ["a", "b", "c"]}, "none of the 1 columns"),
    ],
)
def test_columns_that_cannot_be_learnt_from(train: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit_columns(pd.DataFrame(train))


@pytest.mark.parametrize(
    ("new", "match"),
    [
        ({"day": ["2020-01-01"]}, "lacks the columns age"),
        (
            {"age": ["3", "old"], "day": ["2020-01-01"] * 2},
            "column 'age' holds 'old' in row 1: a number is needed",
        ),
        ({"age": [3, -np.inf], "day": ["2020-01-01"] * 2}, "column 'age' is infinite in row 1"),
        ({"age": [3], "day": [3]}, "column 'day' holds .*3.* in row 0: a time is needed"),
    ],
)
def test_new_rows_that_do_not_fit(new: dict, match: str) -> None:
    train = {"age": [1, 2], "day": ["2020-01-01", "2020-01-02"]}
    with pytest.raises(ValueError, match=match):
        encoded(train, new)


def test_text_is_written_alike_for_equal_values() -> None:
    assert as_text(pd.Series([1.0, None, 2.5])).tolist() == ["1", None, "2.5"]
    assert as_text(pd.Series([1, "a", 1.0, None], dtype=object)).tolist() == ["1", "a", "1", None]
    assert as_text(pd.Series([True, False])).tolist() == ["True", "False"]
