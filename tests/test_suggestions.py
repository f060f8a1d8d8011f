"""Suggestions for misspelt names, and for what other programs call an option."""

from __future__ import annotations

import pytest

from unconfound.suggestions import SYNONYMS, nearest_known, nearest_name

KNOWN = ["learning_rate", "batch_size", "encoder", "epochs", "ema_decay"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("lr", "learning_rate"),
        ("BS", "batch_size"),
        ("--arch", "encoder"),
        ("learn", "learning_rate"),
        ("epcohs", "epochs"),
        ("e", None),  # the beginning of three
        ("wd", None),  # what is meant is not among them
        ("xyzzy", None),
    ],
)
def test_what_is_meant(asked: str, meant: str | None) -> None:
    assert nearest_known(asked, KNOWN) == meant


def test_it_is_said_in_words() -> None:
    assert nearest_name("lr", KNOWN) == "did you mean 'learning_rate'?"
    assert nearest_name("xyzzy", iter(KNOWN)) == f"use one of {', '.join(KNOWN)}"


def test_nobody_is_sent_from_one_of_our_own_names_to_another() -> None:
    assert not SYNONYMS.keys() & set(SYNONYMS.values())
