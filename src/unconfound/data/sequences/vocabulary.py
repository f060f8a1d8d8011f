"""Texts as tokens: words and signs, and the vocabulary that numbers them."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

PADDING, UNKNOWN = 0, 1
SPECIAL = 2  # tokens that stand for no word
WORDS = 20_000

# Chinese and Japanese set no spaces between words: each of their characters is a token.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of some texts, one text after the other.

    Args:
        words: the distinct tokens, in the order in which they first occur.
        places: of each token among the words.
        lengths: tokens of each text.
    """

    words: tuple[str, ...]
    places: Int[np.ndarray, " total"]
    lengths: Int[np.ndarray, " texts"]


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words (runs of letters, digits and underscores) and single other signs."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text).lower())


def read_tokens(texts: Iterable[str], *, max_length: int) -> tuple[Tokens, int]:
    """Tokenize texts.

    Args:
        texts: any; one of white space alone has no tokens.
        max_length: how many tokens of a text are kept.

    Returns:
        the tokens, and how many texts were cut.
    """
    # Numbered as they come: a list of all tokens would hold each word as often as it occurs.
    place_of: defaultdict[str, int] = defaultdict(lambda: len(place_of))
    places, lengths, cut = array("i"), array("q"), 0
    for text in texts:
        tokens = tokenize(text)
        cut += len(tokens) > max_length
        kept = tokens[:max_length]
        places.extend(map(place_of.__getitem__, kept))
        lengths.append(len(kept))
    return Tokens(tuple(place_of), np.array(places, np.int32), np.array(lengths, np.int64)), cut


def fit_vocabulary(
    tokens: Tokens, texts: Bool[np.ndarray, " texts"], *, words: int = WORDS, least: int = 2
) -> list[str]:
    """Choose the words that get a number of their own: the most frequent first, ties in the order of the alphabet.

    Args:
        tokens: of all texts.
        texts: which of them count, the training texts.
        words: how many at most.
        least: how often a word must occur; 1 is taken where no word does.
    """
    counts = np.bincount(tokens.places[np.repeat(texts, tokens.lengths)], minlength=len(tokens.words)).tolist()
    seen = [place for place, count in enumerate(counts) if count]
    frequent = [place for place in seen if counts[place] >= least] or seen
    frequent.sort(key=lambda place: (-counts[place], tokens.words[place]))
    return [tokens.words[place] for place in frequent[:words]]


def encode_tokens(tokens: Tokens, vocabulary: Sequence[str]) -> Int[np.ndarray, " total"]:
    """Number tokens by a vocabulary: its words from 2 on, 1 any other word (0 pads)."""
    number_of = {word: number for number, word in enumerate(vocabulary, SPECIAL)}
    numbers = np.array([number_of.get(word, UNKNOWN) for word in tokens.words], np.int64)
    return np.asarray(numbers[tokens.places])
