from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from unconfound.data.sequences.texts import texts
from unconfound.data.sequences.vocabulary import SPECIAL, UNKNOWN, tokenize

WORDS = ("duck", "goose", "swan", "heron", "wade", "dive", "fly", "sing")


def reviews(rows=60, *, seed=0):
    rng = np.random.default_rng(seed)
    said = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) + "." for _ in range(rows)]
    return pd.DataFrame(
        {"review": said, "stars": rng.choice(["bad", "good"], rows), "place": rng.choice(["lake", "sea"], rows)}
    )


def saved(frame: pd.DataFrame, folder: Path, name="reviews.csv") -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


def read_back(source, vocabulary):
    """The words of each sample, and "?" for any that is not in the vocabulary."""
    word_of = {number: word for number, word in enumerate(vocabulary, SPECIAL)} | {UNKNOWN: "?"}
    batch = next(source.batches([torch.arange(len(source))]))
    rows = zip(batch.inputs.values.tolist(), batch.inputs.lengths.tolist(), strict=True)
    return [[word_of[token] for token in row[:length]] for row, length in rows]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv", "reviews.csv.gz", "reviews.parquet", "reviews.jsonl"])
def test_tokens_labels_groups_and_names(tmp_path, name):
    frame = reviews()
    data = texts(saved(frame, tmp_path, name), text="review", label="stars", group="place", test_share=0.25, seed=3)
    vocabulary = data.restore["encoding"]["vocabulary"]
    schema = data.train.schema
    assert (schema.modality, schema.shape) == ("text", (len(vocabulary) + 2,))
    assert schema.classes == ("bad", "good")
    assert schema.groups[1] == "stars=bad, place=sea"
    assert len(data.tests["test"]) == pytest.approx(15, abs=1)
    rows = [int(row) for source in (data.train, data.tests["test"]) for row in source.names]
    assert sorted(rows) == list(range(60))
    for source in (data.train, data.tests["test"]):
        batch = next(source.batches([torch.arange(len(source))]))
        assert [list(words) for words in read_back(source, vocabulary)] == [tokenize(said) for said in source.texts]
        for sample, row in enumerate(map(int, source.names)):
            assert source.texts[sample] == frame["review"][row]
            assert schema.classes[batch.labels[sample]] == frame["stars"][row]
            assert schema.groups[batch.groups[sample]] == f"stars={frame['stars'][row]}, place={frame['place'][row]}"
    assert data.labelled is data.train


def test_the_vocabulary_is_that_of_the_training_texts(tmp_path):
    frame = reviews().assign(
        review=lambda frame: [f"{said} only{row} only{row}" for row, said in enumerate(frame.review)]
    )
    data = texts(saved(frame, tmp_path), text="review", label="stars")
    vocabulary = set(data.restore["encoding"]["vocabulary"])
    assert {f"only{row}" for row in data.train.names} <= vocabulary
    assert not {f"only{row}" for row in data.tests["test"].names} & vocabulary
    assert all(words[-2:] == ["?", "?"] for words in read_back(data.tests["test"], sorted(vocabulary)))
    assert any("vocabulary: " in note and "% of all tokens are none of them" in note for note in data.train.notes)


def test_new_texts_are_read_by_the_stored_vocabulary(tmp_path):
    data = texts(saved(reviews(), tmp_path), text="review", label="stars", group="place", max_length=5)
    stored = json.loads(json.dumps(data.restore))
    assert (stored["kind"], stored["max_length"]) == ("text", 5)
    again = texts(saved(reviews(), tmp_path), max_length=5, test_share=0, encoding=stored["encoding"])
    assert again.tests == {}
    assert again.restore == data.restore
    assert again.train.schema == data.train.schema
    for source in (data.train, data.tests["test"]):
        rows = torch.tensor([int(name) for name in source.names])
        old, new = next(source.batches([torch.arange(len(source))])), next(again.train.batches([rows]))
        assert old.inputs.lengths.equal(new.inputs.lengths)
        assert old.inputs.values.equal(new.inputs.values[:, : old.inputs.values.shape[1]])
        assert old.labels.equal(new.labels)
        assert old.groups.equal(new.groups)

    strange = pd.DataFrame({"review": ["duck zebra", "zebra zebra"], "stars": ["good", "so-so"]})
    odd = texts(saved(strange, tmp_path, "odd.jsonl"), test_share=0, encoding=stored["encoding"])
    assert odd.train.labels.tolist() == [1, -1]
    assert odd.train.groups is None
    assert read_back(odd.train, stored["encoding"]["vocabulary"]) == [["duck", "?"], ["?", "?"]]
    assert any("75.0% of all tokens" in note for note in odd.train.notes)

    # Lines, and a column of another name that is pointed out, are read as well.
    (tmp_path / "new.txt").write_text("swan dive\n")
    lines = texts(tmp_path / "new.txt", test_share=0, encoding=stored["encoding"])
    assert read_back(lines.train, stored["encoding"]["vocabulary"]) == [["swan", "dive"]]
    assert lines.labelled is None
    other = saved(strange.rename(columns={"review": "body"}), tmp_path, "other.csv")
    assert (
        texts(other, text="body", test_share=0, encoding=stored["encoding"]).train.texts == strange["review"].tolist()
    )
    both = saved(strange.assign(body=["swan", "dive"]), tmp_path, "both.csv")
    assert texts(both, text="body", test_share=0, encoding=stored["encoding"]).train.texts == ["swan", "dive"]
    with pytest.raises(ValueError, match=r"other\.csv has no text column 'review': its columns are body, stars"):
        texts(other, test_share=0, encoding=stored["encoding"])


def test_texts_that_are_read_by_a_vocabulary_are_split_as_any(tmp_path):
    path = saved(reviews(), tmp_path)
    first = texts(path, text="review", label="stars", test_share=0.4, seed=3)
    again = texts(path, test_share=0.4, seed=3, encoding=first.restore["encoding"])
    assert again.train.names == first.train.names
    assert again.tests["test"].names == first.tests["test"].names


def test_long_texts_are_cut_and_counted(tmp_path):
    frame = pd.DataFrame({"text": ["a b c d", "a b", "a b c", "a"]})
    data = texts(saved(frame, tmp_path), max_length=2, test_share=0)
    assert next(data.train.batches([torch.arange(4)])).inputs.lengths.tolist() == [2, 2, 2, 1]
    assert "2 of 4 texts have more than 2 tokens (--max-length): they are cut" in data.train.notes
    assert not any("cut" in note for note in texts(saved(frame, tmp_path), max_length=4).train.notes)


@pytest.mark.parametrize("column", ["text", "sentence"])
def test_the_column_of_the_text_may_go_without_saying(tmp_path, column):
    frame = reviews().rename(columns={"review": column})
    data = texts(saved(frame, tmp_path), label="stars")
    assert data.restore["encoding"]["text"] == column
    assert f"the texts are those of the column {column!r}" in data.train.notes


def test_lines_are_texts_and_empty_ones_are_counted(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\ufeffA duck.\n\nTwo\u2028ducks\r\n   \nlast", encoding="utf-8")
    data = texts(path, test_share=0)
    assert data.train.texts == ["A duck.", "Two\u2028ducks", "last"]
    assert data.train.names == ["0", "2", "4"]
    assert data.labelled is None
    assert "2 of 5 rows have an empty text and are skipped, the first is row 1" in data.train.notes


def test_rows_without_a_text_are_skipped(tmp_path):
    frame = reviews(8)
    frame.loc[[2, 5], "review"] = [None, " \t"]
    for name in ("reviews.csv", "reviews.jsonl", "reviews.parquet"):
        data = texts(saved(frame, tmp_path, name), text="review", label="stars", test_share=0)
        assert data.train.names == ["0", "1", "3", "4", "6", "7"]
        assert [data.train.schema.classes[label] for label in data.train.labels] == frame["stars"].drop([2, 5]).tolist()
        assert "2 of 8 rows have an empty text and are skipped, the first is row 2" in data.train.notes


def test_json_lines_may_lack_fields(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a duck", "id": 1}\n\n{"id": 2}\n{"text": "two", "label": 3, "more": {"deep": [1]}}\n')
    data = texts(path, label="label", test_share=0)
    assert data.train.texts == ["a duck", "two"]
    assert data.train.labels.tolist() == [-1, 0]
    assert data.train.schema.classes == ("3",)
    assert len(data.labelled) == 1


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "body,stars\nduck,1\n", {}, r"a.csv: say which column holds the text \(--text\), one of body, stars"),
        ("a.csv", "body,stars\nduck,1\n", {"text": "bdy"}, "has no text column 'bdy': its columns are body, stars"),
        ("a.csv", "text,stars\n1.5,1\n2,2\n", {}, "the text column 'text' holds numbers: give a column of texts"),
        ("a.csv", "text,stars\n,1\n ,2\n", {}, "all 2 texts of the column 'text' are empty"),
        ("a.csv", "text,b\nduck,1\n", {"label": "text"}, "column 'text' is both the text and the label"),
        ("a.csv", "text,b\nduck,1\n", {"group": "text"}, "column 'text' is both the text and the group"),
        ("a.csv", "text,b\nduck,1\n", {"label": "c"}, "has no label column 'c'"),
        ("a.csv", "text,b\nduck,1\n", {"max_length": 0}, "max_length must be at least 1, got 0"),
        ("a.csv", "text,b\nduck,1\n", {"test_share": 1.5}, "test_share is 1.5"),
        ("a.txt", "", {}, "a.txt is empty: one text a line is needed"),
        ("a.txt", "\n \n", {}, "a.txt is empty"),
        ("a.txt", "duck\n", {"label": "stars"}, "has no label column 'stars'"),
        ("a.txt", b"caf\xe9\n", {}, "a.txt is not written in UTF-8 .* at byte 3.: save it so"),
        ("a.txt", b"duck\ngoo\0se\n", {}, "a.txt, line 2 holds a NUL character, so it is damaged .*: save it anew"),
        ("a.jsonl", '{"text": "a"}\n{"text": }\n', {}, r"a.jsonl, line 2 is no JSON \(Expecting value at column 10\)"),
        ("a.jsonl", '\n["a"]\n', {}, "a.jsonl, line 2 holds a list: one object a line is needed"),
        ("a.jsonl", '{"body": "a"}\n', {"text": "text"}, "no text column 'text': its columns are body"),
        ("a.jsonl", '{"text": {"en": "a"}}\n', {}, "column 'text' holds a dict in a cell"),
        ("a.jsonl", '{"text": "a", "y": [1]}\n', {"label": "y"}, "'y' holds a list in a cell"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, options, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as raised:
        texts(path, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"at .*{name}"):
        texts(tmp_path / name)
