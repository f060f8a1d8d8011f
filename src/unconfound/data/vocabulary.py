"""Texts as tokens: words and signs, and the vocabulary that numbers them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

PADDING, UNKNOWN = 0, 1
SPECIAL = 2  # tokens that stand for no word
WORDS = 20_000

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words (runs of letters, digits and underscores) and single other signs."""
    return _TOKEN.findall(text.lower())


def fit_vocabulary(texts: Iterable[Sequence[str]], *, words: int = WORDS, least: int = 2) -> list[str]:
    """Choose the words that get a number of their own: the most frequent first, ties in the order of the alphabet.

    Args:
        texts: the tokens of each training text.
        words: how many at most.
        least: how often a word must occur; 1 is taken where no word does.
    """
    counts = Counter(token for tokens in texts for token in tokens)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ordered if counts[word] >= least][:words] or ordered[:words]


def numbers(vocabulary: Sequence[str]) -> dict[str, int]:
    """Number the words of a vocabulary from 2 on; 0 pads, 1 is any other word."""
    return {word: place + SPECIAL for place, word in enumerate(vocabulary)}


def encode_text(tokens: Sequence[str], number_of: Mapping[str, int]) -> list[int]:
    """Return the number of each token, 1 where it is not in the vocabulary."""
    return [number_of.get(token, UNKNOWN) for token in tokens]
