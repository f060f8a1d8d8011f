from __future__ import annotations

import json

import pytest
import torch

from unconfound.data.sequences.texts import texts
from unconfound.data.sets.text_sets import ag_news, sst2, trec

NEWS = (
    '"3","A ""duck"" deal","Shares\\rise, he says."\n"1","NA",""\n"4","A chip","null of 3"\n"2","Duck wins","A match"\n'
)


def _ag_news(folder, *files):
    (folder / "AG_NEWS").mkdir()
    for file in files:
        (folder / "AG_NEWS" / file).write_text(NEWS if file == "test.csv" else NEWS * 3)
    return folder


def _trec(folder):
    folder = folder / "TREC"
    folder.mkdir()
    (folder / "train_5500.label").write_bytes(
        b"DESC:manner How did it ?\nHUM:ind Who is Beyonc\xe9 ?\nNUM:date When ?\n"
    )
    (folder / "TREC_10.label").write_bytes(b"HUM:ind Who ?\n")
    return folder


def _sst2(folder):
    folder = folder / "SST2"
    folder.mkdir()
    (folder / "stsa.binary.train").write_text("1 a fine film\n0 a : dull film\n1 a film\n")
    (folder / "stsa.binary.test").write_text("0 dull\n1 fine\n")
    return folder


def test_ag_news_joins_title_and_description(tmp_path):
    for root in (_ag_news(tmp_path, "train.csv", "test.csv"), tmp_path / "AG_NEWS"):
        data = ag_news(root)
        assert (len(data.train), len(data.tests["test"])) == (12, 4)
        assert data.tests["test"].texts[0] == 'A "duck" deal Shares rise, he says.'
        assert data.tests["test"].texts[1:3] == ["NA ", "A chip null of 3"]
        assert data.train.schema.classes == ("World", "Sports", "Business", "Sci/Tech")
        assert data.tests["test"].labels.tolist() == [2, 0, 3, 1]
        assert len(data.train.notes) == 1
        assert data.labelled is data.train


@pytest.mark.parametrize(("file", "missing"), [("test.csv", "train.csv"), ("train.csv", "test.csv")])
def test_ag_news_is_split_where_a_file_is_missing(tmp_path, file, missing):
    root = _ag_news(tmp_path, file)
    (root / "AG_NEWS" / file).write_text(NEWS * 5)
    data = ag_news(root, test_share=0.4, seed=1)
    assert data.tests["test"].labels.bincount().tolist() == [2, 2, 2, 2]
    assert len(data.train) == 12
    assert data.train.notes[0] == f"{missing} is not there: the 20 texts of {file} are split for training and test"
    assert ag_news(root, test_share=0.4, seed=2).train.names != data.train.names
    assert ag_news(root, test_share=0.0).tests == {}


def test_trec_takes_the_coarse_class(tmp_path):
    _trec(tmp_path)
    data = trec(tmp_path)
    assert data.train.texts == ["How did it ?", "Who is Beyoncé ?", "When ?"]
    assert data.train.labels.tolist() == [1, 3, 5]
    assert data.tests["test"].labels.tolist() == [3]
    assert data.tests["test"].names == ["3"]


def test_sst2_leaves_the_dev_part_out(tmp_path):
    data = sst2(_sst2(tmp_path))
    assert data.train.texts == ["a fine film", "a : dull film", "a film"]
    assert data.train.labels.tolist() == [1, 0, 1]
    assert data.tests["test"].labels.tolist() == [0, 1]
    assert "the dev part is left out" in data.train.notes


def test_an_earlier_encoding_reads_it(tmp_path):
    _sst2(tmp_path), _trec(tmp_path)
    data = sst2(tmp_path, max_length=2)
    encoding = json.loads(json.dumps(data.restore["encoding"]))
    again = sst2(tmp_path, max_length=2, encoding=encoding)
    for first, second in ((data.train, again.train), (data.tests["test"], again.tests["test"])):
        batches = [next(each.batches([torch.arange(len(each))])) for each in (first, second)]
        assert batches[0].inputs.values.equal(batches[1].inputs.values)
        assert batches[0].labels.equal(batches[1].labels)
    assert again.restore == data.restore
    other = trec(tmp_path, encoding=encoding)
    assert other.train.schema == data.train.schema
    assert (other.train.labels == -1).all()

    (tmp_path / "my.csv").write_text("body,stars\na dull film,1\na fine day,2\n")
    mine = texts(tmp_path / "my.csv", text="body", label="stars")
    assert sst2(tmp_path, encoding=mine.restore["encoding"]).train.labels is None


def test_what_is_missing_or_damaged_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ag-news needs train\.csv, test\.csv in .*AG_NEWS: nothing is down"):
        ag_news(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"trec needs train_5500\.label, TREC_10\.label in .*TREC"):
        trec(tmp_path)
    with pytest.raises(ValueError, match=r"sst2 is read from files: say which folder holds them \(--data-root\)"):
        sst2(None)
    (_sst2(tmp_path) / "stsa.binary.test").write_text("1 fine\n\n2 bad\n")
    with pytest.raises(ValueError, match="damaged: line 3 is no label of 0, 1 with a text"):
        sst2(tmp_path)
    (tmp_path / "SST2" / "stsa.binary.test").write_text("\n")
    with pytest.raises(ValueError, match="damaged: it is empty"):
        sst2(tmp_path)
    for content in ("1,a\n", "5,a,b\n", '1,a,"b\n', ""):
        (tmp_path / "AG_NEWS").mkdir(exist_ok=True)
        (tmp_path / "AG_NEWS" / "test.csv").write_text(content)
        with pytest.raises(ValueError, match=r"test\.csv is damaged") as raised:
            ag_news(tmp_path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("read", "train", "test", "of_classes"),
    [
        (ag_news, 6080, 1520, [1520, 1520, 1520, 1520]),
        (trec, 5452, 500, [86, 1162, 1250, 1223, 835, 896]),
        (sst2, 6920, 1821, [3310, 3610]),
    ],
)
def test_the_real_sets_have_the_published_counts(data_root, read, train, test, of_classes):
    data = read(data_root)
    assert (len(data.train), len(data.tests["test"])) == (train, test)
    assert data.train.labels.bincount().tolist() == of_classes
