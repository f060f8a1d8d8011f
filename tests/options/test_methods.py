"""The table of methods says what the methods themselves say."""

from __future__ import annotations

import pytest

from unconfound.data import Schema
from unconfound.encoders import build_encoder
from unconfound.methods import METHODS
from unconfound.options.methods import ALIASES, METHODS_OF, OPTIONS, TESTED_ON_UNSEEN_CLASSES

SCHEMAS = {
    "images": Schema("images", (3, 16, 16), ("a", "b"), ("x", "y")),
    "tables": Schema("tables", (6,), ("a", "b"), ("x", "y")),
    "graphs": Schema("graphs", (4,), ("a", "b"), ("x", "y")),
    "sequences": Schema("text", (9,), ("a", "b"), ("x", "y")),
}
ENCODERS = {"images": "convnet", "tables": "mlp", "graphs": "gin", "sequences": "gru"}


def test_every_method_is_listed_once_with_its_own_options() -> None:
    assert {name: kind.Options for name, kind in METHODS.items()} == OPTIONS
    assert sum(map(len, METHODS_OF.values())) == len(METHODS)
    assert all(method in METHODS for method, _ in ALIASES.values())


def test_those_tested_on_unseen_classes_are_named() -> None:
    assert {name for name, kind in METHODS.items() if kind.tested_on_unseen_classes} == set(TESTED_ON_UNSEEN_CLASSES)


@pytest.mark.parametrize("modality", SCHEMAS)
def test_methods_stand_under_the_data_that_they_take(modality: str) -> None:
    schema, taken = SCHEMAS[modality], set()
    for name, kind in METHODS.items():
        try:
            kind(build_encoder(ENCODERS[modality], schema, width=4), schema)
        except ValueError:
            continue
        taken.add(name)
    assert taken == {*METHODS_OF["any data"], *METHODS_OF.get(modality, ())}
