from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data.tables.columns import as_text, encode_columns, feature_names, fit_columns


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


def kinds(frame: pd.DataFrame, *, delimiter: str | None = None) -> tuple[dict[str, str], list[str]]:
    fitted, notes = fit_columns(frame, delimiter=delimiter)
    return {column["name"]: column["kind"] for column in fitted}, notes


def test_digits_as_text_are_codes() -> None:
    codes = {
        "postal": ["1010", "02139"],
        "industry": ["1111", "4451"],
        "lot": ["20010101", "20240229"],
        "day": ["2001-01-01", "2024-02-29"],
        "month": ["2001-01", "2024-02"],
        "price": ["1,200", "3"],
    }
    frame = pd.DataFrame({name: values * 5 for name, values in codes.items()})
    found, notes = kinds(frame)
    text = dict.fromkeys(("postal", "industry", "lot"), "category")
    assert found == text | {"day": "time", "month": "time", "price": "number"}
    assert any("'industry' holds digits as text" in note for note in notes)
    # In a file that is all text, digits are numbers, but for those that begin with a zero.
    assert kinds(frame, delimiter=";")[0] == found | {"industry": "number", "lot": "number"}


def test_words_among_numbers_and_dates_count_as_missing() -> None:
    numbers, days = [str(number) for number in range(5, 25)], [f"2020-01-{day:02d}" for day in range(1, 21)]
    frame = pd.DataFrame({"age": numbers, "day": days})
    frame.loc[3, ["age", "day"]] = "unknown"
    frame.loc[4, ["age", "day"]] = "NA"
    fitted, notes = fit_columns(frame, delimiter=";")
    assert [(column["kind"], column["words"]) for column in fitted] == [("number", ["unknown"]), ("time", ["unknown"])]
    assert any(
        "'age' is read as numbers: 1 cells that hold something else, such as 'unknown'" in note for note in notes
    )
    features, _ = encode_columns(frame, fitted)
    assert np.flatnonzero(features[:, 1]).tolist() == np.flatnonzero(features[:, 3]).tolist() == [3, 4]
    # The word is known in new rows, another one is not.
    new = pd.DataFrame({"age": ["unknown"], "day": ["unknown"]})
    assert encode_columns(new, fitted)[0].tolist() == [[pytest.approx(0.5, abs=0.1), 1] * 2]
    with pytest.raises(ValueError, match="'age' holds 'old' in row 0: a number is needed"):
        encode_columns(new.assign(age="old"), fitted)
    # Where words are no exception, all are categories, which is said.
    frame.loc[:9, "age"] = "unknown"
    found, notes = kinds(frame, delimiter=";")
    assert found["age"] == "category"
    assert any(
        "'age' holds numbers and words such as 'unknown': each of its 11 values is a category" in note for note in notes
    )


def test_new_rows_are_read_in_the_form_of_training() -> None:
    fitted, _ = fit_columns(pd.DataFrame({"a": ["1,5", "2,5"], "b": ["10%", "20%"]}), delimiter=";")
    fitted = json.loads(json.dumps(fitted))
    features, _ = encode_columns(pd.DataFrame({"a": ["2,000"], "b": ["15%"]}), fitted)
    assert features.tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match=r"'a' holds '1\.5' in row 0"):
        encode_columns(pd.DataFrame({"a": ["1.5"], "b": ["15%"]}), fitted)
    with pytest.raises(ValueError, match=r"'b' holds 0\.15 in row 0: a number with % is needed"):
        encode_columns(pd.DataFrame({"a": ["1,5"], "b": [0.15]}), fitted)


@pytest.mark.parametrize(
    "days", [["0001-01-01", "2020-01-01", "9999-12-31"], ["1600-01-01", "1700-05-05", "1850-01-01"]]
)
def test_far_dates(days: list[str]) -> None:
    seconds = np.array(days, "datetime64[s]").astype(np.int64).astype(float)
    expected = (seconds - seconds[0]) / (seconds[2] - seconds[0])
    for column in (days, np.array(days, "datetime64[s]"), np.array(days, "datetime64[D]").astype(object)):
        features, _ = encoded({"day": column})
        np.testing.assert_allclose(features["day"], expected, atol=1e-6)
    # Nanoseconds in one cell do not lose the far ones.
    features, _ = encoded({"day": [*days[:2], f"{days[2]}T00:00:00.123456789"]})
    np.testing.assert_allclose(features["day"], expected, atol=1e-6)


def test_mixed_objects_are_numbers_where_nearly_all_are() -> None:
    assert kinds(pd.DataFrame({"a": pd.Series([1, 2, 3], dtype=object)}))[0] == {"a": "number"}
    assert kinds(pd.DataFrame({"a": pd.Series([*range(5, 25), "old"], dtype=object)}))[0] == {"a": "number"}


def test_values_too_far_from_training_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'age' holds 1e\+300 in row 0: that is too far"):
        encoded({"age": [1.0, 2.0]}, {"age": [1e300]})


def test_what_is_odd_is_said() -> None:
    frame = pd.DataFrame({"row": range(60), "word": ["NA", "x"] * 30, "many": [f"k{row % 30}" for row in range(60)]})
    notes = fit_columns(frame)[1]
    assert any("'row' counts the rows" in note for note in notes)
    assert any("'word': 'NA' is a value" in note for note in notes)
    assert any("'many' becomes 30 features" in note for note in notes)


def test_a_decimal_comma_settles_the_other_columns_where_no_comma_delimits() -> None:
    german = pd.DataFrame({"people": ["950", "1.234", "12.500", "101.000"], "price": ["3,5", "4,5", "5,5", "6,5"]})
    low = {column["name"]: column["low"] for column in fit_columns(german, delimiter=";")[0]}
    assert low == {"people": 950, "price": 3.5}
    # Without thousands, a point is a point.
    mixed = pd.DataFrame({"share": ["0.25", "1.5"], "price": ["3,5", "4,5"]})
    assert fit_columns(mixed, delimiter=";")[0][0]["high"] == 1.5
    american = pd.DataFrame({"choice": ["1,2", "1,3", "2,3"], "amount": ["950", "1,234", "12,500"]})
    assert fit_columns(american, delimiter=",")[0][1]["high"] == 12500
    assert fit_columns(american, delimiter="\t")[0][1]["low"] == 1.234


def test_a_stray_zero_makes_no_codes() -> None:
    numbers = [str(7 * row) for row in range(60)]
    frame = pd.DataFrame({"v": numbers, "zip": [f"{row % 10 or 30:02d}139" for row in range(1, 61)]})
    frame.loc[3, "v"] = "0021"
    # One in the tenth part begins with a zero, but all have one length.
    frame["rare"] = ["02139", *(str(10000 + row % 7) for row in range(59))]
    frame["time"] = [f"{row % 24:02d}{row:02d}" for row in range(60)]
    fitted, notes = fit_columns(frame, delimiter=",")
    assert {column["name"]: column["kind"] for column in fitted} == {
        "v": "number",
        "zip": "category",
        "rare": "category",
    }
    assert fitted[0]["high"] == 413
    assert any("'v' is read as numbers: of '0021', which begins with a zero, too" in note for note in notes)
    for name, cell in (("zip", "01139"), ("rare", "02139"), ("time", "0000")):
        assert any(f"{name!r} holds digits that begin with a zero, such as {cell!r}: codes" in note for note in notes)
    assert any("'time' is left out: 60 categories in 60 rows" in note for note in notes)
