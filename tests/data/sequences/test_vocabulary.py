from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unconfound.data.sequences.vocabulary import SPECIAL, UNKNOWN, encode_tokens, fit_vocabulary, read_tokens, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The cat, the CAT!", ["the", "cat", ",", "the", "cat", "!"]),
        ("it's 3.5% of snake_case\t\n", ["it", "'", "s", "3", ".", "5", "%", "of", "snake_case"]),
        ("Straße É", ["straße", "é"]),
        ("e\u0301t\u00e9", ["été"]),  # an accent of its own, and one that is part of its letter
        ("买iPhone手机", ["买", "iphone", "手", "机"]),
        ("ひらカタ!", ["ひ", "ら", "カ", "タ", "!"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("🙂🙂", ["🙂", "🙂"]),
        (" \t\n\u00a0", []),
        ("", []),
    ],
)
def test_words_and_signs(text, tokens):
    assert tokenize(text) == tokens


TEXTS = st.lists(st.text(alphabet="ab c.A\n", max_size=12), min_size=1, max_size=8)


@given(TEXTS, st.integers(1, 6))
def test_tokens_of_many_texts_are_those_of_each(texts, max_length):
    tokens, cut = read_tokens(texts, max_length=max_length)
    whole = [tokenize(text) for text in texts]
    kept = [each[:max_length] for each in whole]
    assert tokens.lengths.tolist() == [len(each) for each in kept]
    assert [tokens.words[place] for place in tokens.places] == [token for each in kept for token in each]
    assert cut == sum(len(each) > max_length for each in whole)
    assert len(set(tokens.words)) == len(tokens.words)


@given(TEXTS, st.data(), st.integers(1, 4), st.integers(1, 3))
def test_the_most_frequent_training_words_are_numbered(texts, data, words, least):
    trained = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))), bool)
    tokens, _ = read_tokens(texts, max_length=99)
    vocabulary = fit_vocabulary(tokens, trained, words=words, least=least)

    counts = Counter(token for text, known in zip(texts, trained, strict=True) if known for token in tokenize(text))
    enough = {word: count for word, count in counts.items() if count >= least} or counts
    assert vocabulary == sorted(enough, key=lambda word: (-enough[word], word))[:words]

    number_of = {word: place + SPECIAL for place, word in enumerate(vocabulary)}
    expected = [number_of.get(token, UNKNOWN) for text in texts for token in tokenize(text)]
    assert encode_tokens(tokens, vocabulary).tolist() == expected


def test_words_that_no_text_of_a_new_file_has_do_no_harm():
    tokens, _ = read_tokens(["new words"], max_length=9)
    assert encode_tokens(tokens, ["old", "words"]).tolist() == [UNKNOWN, SPECIAL + 1]
    assert encode_tokens(tokens, []).tolist() == [UNKNOWN, UNKNOWN]
