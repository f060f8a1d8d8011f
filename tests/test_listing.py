"""What there is, by the data that it is for."""

from __future__ import annotations

import pytest

from unconfound.comparison.rows import list_comparisons
from unconfound.listing import ENCODERS_OF, MODALITIES, listing, summary
from unconfound.methods import METHODS
from unconfound.options.data_sets import NAMED, PATHS
from unconfound.recipes import list_recipes


def _names(text: str) -> list[str]:
    return [line[2:].split("  ")[0] for line in text.splitlines() if line.startswith("  ")]


def test_everything_is_listed_once_with_a_line_of_its_own() -> None:
    encoders = [name for known in ENCODERS_OF.values() for name in known]
    known = [*METHODS, "cim+vib", "dacl+", *encoders, *NAMED, *PATHS, *list_recipes(), *list_comparisons()]
    assert sorted(_names(listing())) == sorted(known)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_described_by_the_first_line_of_its_class(name: str) -> None:
    assert summary(name) == (METHODS[name].__doc__ or "").partition("\n")[0]
    assert summary(name).endswith(".")


def test_words_choose_kinds_and_data() -> None:
    assert set(_names(listing(["methods"]))) == {*METHODS, "cim+vib", "dacl+"}
    assert "infograph" in _names(listing(["methods", "graphs"]))
    assert "dacl" in _names(listing(["graphs", "methods"]))
    assert "simclr" not in _names(listing(["graphs"]))
    assert _names(listing(["encoders", "tables"])) == ["mlp"]
    assert "dacl/mutag" in _names(listing(["recipes", "graphs"]))
    assert "dacl/mutag" not in _names(listing(["recipes", *(name for name in MODALITIES if name != "graphs")]))


@pytest.mark.parametrize(("word", "advice"), [("method", "methods"), ("image", "images"), ("nothing", "use one of")])
def test_an_unknown_word_is_refused_with_the_nearest_one(word: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"no list of '{word}': .*{advice}"):
        listing([word])
