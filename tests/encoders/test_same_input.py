from __future__ import annotations

import pytest

from unconfound.data import Schema
from unconfound.encoders.same_input import different_inputs
from unconfound.encoders.saved import Card


def card(modality="tables", shape=(2,), **restore):
    return Card({}, Schema(modality, shape, ("no", "yes")), 8, restore)


def of_table(*columns, **others):
    return card(kind="table", encoding={"columns": list(columns), **others})


def of_texts(*vocabulary, **others):
    return card("text", (len(vocabulary) + 2,), kind="text", encoding={"vocabulary": list(vocabulary), **others})


def number(name, **how):
    return {"name": name, "kind": "number", "low": 0.0, "high": 1.0, "missing": False} | how


def category(name, *categories):
    return {"name": name, "kind": "category", "categories": list(categories), "missing": False}


@pytest.mark.parametrize(
    ("first", "other", "found"),
    [
        (card(), card("images", (3, 8, 8)), ("tables", "images")),
        (card(kind="rows"), card(kind="table"), ("data of the kind 'rows'", "'table'")),
        (card(), card(shape=(3,)), ("tables of shape (2,)", "of shape (3,)")),
        (of_table(number("a"), number("b")), of_table(number("a"), number("c")), ("the columns b", "c")),
        (of_table(number("a"), number("b")), of_table(number("a")), ("the columns b", "none of these")),
        (of_table(number("a")), of_table(number("a"), number("b")), ("none of the columns b", "these")),
        (
            of_table(number("a"), number("b")),
            of_table(number("b"), number("a")),
            ("the columns in the order a, b", "b, a"),
        ),
        (of_table(number("a")), of_table(category("a", "x")), ("the column 'a' with kind number", "category")),
        (of_table(number("a")), of_table(number("a", high=2.5)), ("the column 'a' with high 1.0", "2.5")),
        (
            of_table(category("a", *"stuvwxyz")),
            of_table(category("a", "x")),
            ("in the column 'a' the categories s, t, u, v, w, ...", "none of these"),
        ),
        (of_texts("cat", "dog"), of_texts("cat", "fox"), ("the words dog", "fox")),
        (
            card("graphs", kind="graphs", encoding={"node_features": "degree", "largest": 9}),
            card("graphs", kind="graphs", encoding={"node_features": "labels"}),
            ("node features degree", "labels"),
        ),
        (
            card("series", (40,), kind="recordings", encoding={"hop": 0.01, "sample_rate": 8000}),
            card("series", (40,), kind="recordings", encoding={"hop": 0.01, "sample_rate": 16000}),
            ("sample rate 8000", "16000"),
        ),
    ],
)
def test_what_differs_is_named(first, other, found):
    assert different_inputs(first, other) == found
    assert different_inputs(other, first) not in (None, found)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (of_table(number("a"), label="y", classes=["no"]), of_table(number("a"), label=None, classes=[])),
        (of_texts("cat", text="said", group="place"), of_texts("cat", text="body", group=None)),
        (
            card("images", (3, 8, 8), kind="images", image_size=8),
            card("images", (3, 9, 9), kind="images", image_size=9),
        ),
        # Of data that were handed over in Python nothing is known.
        (card(), of_table(number("a"))),
    ],
)
def test_what_no_encoder_takes_is_not_looked_at(first, other):
    assert different_inputs(first, other) is None
    assert different_inputs(other, first) is None
