from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unconfound.data.tables.targets import fit_targets, present_targets, read_targets

PATH = Path("people.csv")
FRAME = pd.DataFrame({"grade": [10, 9, np.nan, 10], "city": ["Ulm", None, "Aachen", "Ulm"], "note": list("abcd")})


def test_classes_and_groups_are_ordered_and_crossed():
    stored = fit_targets(FRAME, PATH, label="grade", group="city")
    assert stored == {
        "label": "grade",
        "classes": ["9", "10"],
        "group": "city",
        "attributes": ["Aachen", "Ulm", "missing"],
    }
    notes: list[str] = []
    labels, groups, names = read_targets(FRAME, stored, notes)
    assert labels.tolist() == [1, 0, -1, 1]
    assert groups.tolist() == [4, 2, -1, 4]
    assert names[4] == "grade=10, city=Ulm"
    assert names[2] == "grade=9, city=missing"
    assert len(names) == 6
    assert notes == ["column 'grade': 1 of 4 rows have no value (-1)"]


def test_groups_without_labels_are_the_values():
    stored = fit_targets(FRAME, PATH, label=None, group="city")
    labels, groups, names = read_targets(FRAME, stored, [])
    assert labels is None
    assert groups.tolist() == [1, 2, 0, 1]
    assert names == ("city=Aachen", "city=Ulm", "city=missing")


def test_new_data_may_lack_targets_or_bring_unknown_ones():
    stored = fit_targets(FRAME, PATH, label="grade", group="city")
    bare = present_targets(FRAME[["note"]], stored)
    assert (bare["label"], bare["group"]) == (None, None)
    assert read_targets(FRAME[["note"]], bare, []) == (None, None, ())
    notes: list[str] = []
    labels, _, _ = read_targets(FRAME.assign(grade=[9, 7, 7, 10]), stored, notes)
    assert labels.tolist() == [0, -1, -1, 1]
    assert notes == ["column 'grade': 2 of 4 rows have a value unknown in training (-1)"]


@pytest.mark.parametrize(
    ("label", "group", "message"),
    [
        ("grad", None, r"people.csv has no label column 'grad': did you mean grade\?"),
        ("grade", "zzzz", r"has no group column 'zzzz': did you mean grade, city, note\?"),
        ("city", "city", "label and group are both 'city': give two columns, or no group"),
        ("empty", None, "the label column 'empty' is empty"),
        ("endless", None, "the label column 'endless' holds infinity"),
        ("measure", None, "'measure' has 30 different values in 30 rows: classes are needed"),
    ],
)
def test_columns_that_are_no_targets_are_refused(label, group, message):
    others = {"empty": np.nan, "endless": np.inf, "measure": np.arange(30) / 7}
    frame = FRAME if label not in others else pd.DataFrame({label: np.broadcast_to(others[label], 30)})
    with pytest.raises(ValueError, match=message):
        fit_targets(frame, PATH, label=label, group=group)
