"""What there is, by the data that it is for."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import unconfound
from unconfound.comparison.rows import list_comparisons
from unconfound.listing import ENCODERS_OF, MODALITIES, fitted, listing, summary
from unconfound.methods import METHODS
from unconfound.options.data_sets import NAMED, PATHS, PUBLIC_SETS, PublicSet
from unconfound.recipes import list_recipes


def _names(text: str) -> list[str]:
    return [line[2:].split("  ")[0] for line in text.splitlines() if re.match("  [^ ]", line)]


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


def test_the_records_of_public_sets_are_those_of_their_files() -> None:
    files = sorted((Path(unconfound.__file__).parent / "data" / "sets").glob("*.py"))
    modules = [import_module(f"unconfound.data.sets.{file.stem}") for file in files if file.stem != "__init__"]
    stated = [known for module in modules for known in vars(module).values() if isinstance(known, PublicSet)]
    assert {known.name: known for known in stated} == PUBLIC_SETS
    assert len({*NAMED}) == len(PUBLIC_SETS) + 2


@pytest.mark.parametrize("known", PUBLIC_SETS.values(), ids=PUBLIC_SETS)
def test_a_public_set_is_listed_and_documented_as_its_record_has_it(known: PublicSet) -> None:
    module, _, function = known.reader.partition(":")
    assert callable(getattr(import_module(f"unconfound.data.{module}"), function))
    listed = listing(["data", known.modality])
    assert f"\n  {known.name:<28}  {known.about}\n" in listed
    assert f"licence: {known.licence}; {known.source}\n" in f"{listed}\n"
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
    folders = " or ".join(f"`{folder}/`" for folder in known.folders) or "the folder of domains itself"
    assert f"| `{known.name}` | {folders} | {known.licence} | <{known.source}> | {known.paper} |\n" in page


def test_a_terminal_breaks_lines_between_words_under_their_descriptions() -> None:
    text = listing()
    lines = fitted(text, 80).split("\n")
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert _names("\n".join(lines)) == _names(text)
    assert fitted(text, 1000) == text


def test_a_recipe_is_described_by_no_half_sentence() -> None:
    cut = [name for name, about in (list_recipes() | list_comparisons()).items() if re.search(r"[.)] [A-Z]\w+", about)]
    assert cut == []
