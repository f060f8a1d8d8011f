from __future__ import annotations

import json

import pytest
import torch

from unconfound.data.core.batch import Sequences
from unconfound.data.load import load_dataset
from unconfound.data.sequences.topic_words import TopicWords, topic_words
from unconfound.data.sequences.vocabulary import SPECIAL, UNKNOWN

VOCABULARY = ["film", "movie", "good", "bad", "a"]


def texts(*said):
    rows = [[VOCABULARY.index(word) + SPECIAL for word in text.split()] for text in said]
    lengths = torch.tensor([len(row) for row in rows])
    values = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for row, tokens in enumerate(rows):
        values[row, : len(tokens)] = torch.tensor(tokens)
    return Sequences(values, lengths)


def words(found):
    names = {0: "", UNKNOWN: "?"} | dict(enumerate(VOCABULARY, SPECIAL))
    rows = zip(found.values.tolist(), found.lengths.tolist(), strict=True)
    return [" ".join(names[token] for token in row[:length]) for row, length in rows]


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "words.txt").write_text("Film\nmovie\n\nseries\n")
    return tmp_path / "words.txt"


def test_listed_words_give_way_to_those_of_the_other_text_in_their_order(listed):
    nuisance, notes = topic_words(listed, VOCABULARY)
    assert notes == ["nuisance: 2 of the 3 words of words.txt are in the vocabulary"]
    own = texts("a good film", "film bad film a film", "good", "movie movie")
    givers = texts("movie good", "a movie film", "film", "a bad")
    found = nuisance.exchanged(own, givers, torch.zeros(4))
    assert words(found) == ["a good movie", "movie bad film a movie", "good", "? ?"]
    assert found.lengths is own.lengths
    assert (found.values[~own.mask()] == 0).all()


def test_texts_that_give_to_themselves_stay_as_they_are():
    nuisance = TopicWords(torch.tensor([False, False, True, True, False, False, False]))
    own = texts("film a movie", "good bad", "movie movie film film")
    assert nuisance.exchanged(own, own, torch.zeros(3)).values.equal(own.values)


def test_lists_of_no_use(tmp_path, listed):
    with pytest.raises(ValueError, match=r"none of the 3 words of .*words.txt is in the vocabulary of the training"):
        topic_words(listed, ["nothing"])
    with pytest.raises(FileNotFoundError, match="no list of words at"):
        topic_words(tmp_path / "none", VOCABULARY)
    listed.write_text(" \n")
    with pytest.raises(ValueError, match=r"words.txt lists no word: give one a line"):
        topic_words(listed, VOCABULARY)
    listed.write_text("film\nmotion picture\n")
    with pytest.raises(ValueError, match=r"line 2 holds several words \('motion picture'\): give one a line"):
        topic_words(listed, VOCABULARY)
    listed.write_bytes(b"film\nf\xfclm\n")
    with pytest.raises(ValueError, match="is not written in UTF-8: save it so"):
        topic_words(listed, VOCABULARY)


def test_texts_of_a_file(tmp_path, listed):
    said = [
        {"text": f"a {'film' if row % 3 else 'movie'} {'good' if row % 2 else 'bad'}", "mood": row % 2}
        for row in range(40)
    ]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    dataset = load_dataset(tmp_path / "said.jsonl", label="mood", nuisance_words=listed)
    assert dataset.train.nuisance.words == "the listed words"
    assert list(dataset.tests) == ["original", "mixed-same", "mixed-rand"]
    (original,), (mixed,) = (dataset.tests[name].batches([torch.arange(8)]) for name in ("original", "mixed-rand"))
    changed = original.inputs.values != mixed.inputs.values
    assert changed[:, 1].any()
    assert not changed[:, [0, 2]].any()
