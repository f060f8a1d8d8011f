from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from unconfound.data.load import DataOptions, load_dataset
from unconfound.data.sequences.mel import log_mel
from unconfound.data.sequences.recordings import has_recordings, recordings
from unconfound.data.sequences.waveforms import read_waveform
from unconfound.data.sets.spoken_digits import spoken_digits


def _folder(root, *files, rate=8000):
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        sound = np.random.default_rng(number).normal(size=400 + 80 * number, scale=0.1)
        wavfile.write(root / file, rate, sound.astype(np.float32))
    return root


def _frames(source):
    (batch,) = source.batches([torch.arange(len(source))])
    rows = zip(batch.inputs.values, batch.inputs.lengths.tolist(), strict=True)
    return {name: row[:length] for name, (row, length) in zip(source.names, rows, strict=True)}


def test_class_folders_are_split(tmp_path):
    files = [f"{name}/{number}.wav" for name in ("yes", "no") for number in range(5)]
    data = recordings(_folder(tmp_path, *files), test_share=0.2)
    assert data.train.schema.modality == "series"
    assert data.train.schema.shape == (40,)
    assert data.train.schema.classes == ("no", "yes")
    assert data.tests["test"].labels.tolist() == [0, 1]
    assert data.labelled is data.train
    assert any("2 of 10 samples, 20% of each class" in note for note in data.train.notes)
    for source in (data.train, data.tests["test"]):
        for sample, (name, frames) in enumerate(_frames(source).items()):
            assert frames.equal(log_mel(read_waveform(tmp_path / name)[0], 8000))
            assert data.train.schema.classes[source.labels[sample]] == name.split("/")[0]


def test_train_and_test_folders(tmp_path):
    _folder(tmp_path, "train/a/1.wav", "train/b/2.WAV", "test/b/3.wav", "val/a/4.wav")
    (tmp_path / "readme.md").write_text("sounds")
    data = recordings(tmp_path)
    assert data.train.names == ["train/a/1.wav", "train/b/2.WAV"]
    assert {name: test.labels.tolist() for name, test in data.tests.items()} == {"test": [1], "val": [0]}
    assert "files that are not recordings by their names, passed over: 1" in data.train.notes


def test_folders_of_other_classes_are_for_unseen_ones(tmp_path):
    files = [f"train/{name}/{number}.wav" for name in "abcd" for number in range(2)]
    _folder(tmp_path, *files, *(f"test/{name}/{number}.wav" for name in "ef" for number in range(2)))
    with pytest.raises(ValueError, match=r"test holds classes that train lacks: e, f; .* say --unseen-classes"):
        load_dataset(DataOptions(data=str(tmp_path)))
    data = load_dataset(DataOptions(data=str(tmp_path), unseen_classes=True, folds=2, fold=1))
    assert data.validation.schema.classes == ("a", "b")
    assert data.validation.labels.tolist() == [0, 0, 1, 1]
    assert data.tests["test"].schema.classes == ("e", "f")
    assert list(_frames(data.tests["test"])) == [f"test/{name}/{number}.wav" for name in "ef" for number in range(2)]


def test_loose_files_have_no_labels(tmp_path):
    data = recordings(_folder(tmp_path, "1.wav", "2.wav"), test_share=0)
    assert data.train.labels is None
    assert data.labelled is None
    assert data.tests == {}
    assert len(data.train) == 2


def test_new_recordings_are_read_as_the_old_ones(tmp_path):
    _folder(tmp_path / "old", "a/1.wav", "a/2.wav", "b/3.wav", "b/4.wav")
    data = recordings(tmp_path / "old", max_length=3)
    stored = json.loads(json.dumps(data.restore))
    assert (stored["kind"], stored["max_length"]) == ("recordings", 3)
    assert stored["encoding"] == {
        "bands": 40,
        "window": 0.025,
        "hop": 0.010,
        "classes": ["a", "b"],
        "sample_rate": 8000,
    }
    _folder(tmp_path / "new", "b/1.wav", "c/2.wav")
    new = recordings(tmp_path / "new", test_share=0, max_length=3, encoding=stored["encoding"])
    assert new.train.schema == data.train.schema
    assert new.train.labels.tolist() == [1, -1]
    assert any("1 of 2 recordings are of classes unknown in training (-1)" in note for note in new.train.notes)
    assert new.restore == data.restore
    fewer = recordings(tmp_path / "new", test_share=0, encoding=stored["encoding"] | {"bands": 20})
    assert fewer.train.schema.shape == (20,)
    with pytest.raises(ValueError, match="those that the encoder was trained on have 44,100"):
        recordings(tmp_path / "new", encoding=stored["encoding"] | {"sample_rate": 44_100})


def test_what_is_taken_for_recordings(tmp_path):
    assert has_recordings(_folder(tmp_path / "flat", "1.wav"))
    assert has_recordings(_folder(tmp_path / "classes", "a/1.WAV"))
    assert has_recordings(_folder(tmp_path / "parts", "train/a/1.wav", "test/a/1.wav"))
    (tmp_path / "images" / "a").mkdir(parents=True)
    assert not has_recordings(tmp_path / "images")
    (tmp_path / "images" / "a" / "1.png").touch()
    _folder(tmp_path / "images", "b/noise.wav")
    assert not has_recordings(tmp_path / "images")


def test_unclear_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        recordings(tmp_path / "none")
    with pytest.raises(
        ValueError, match="holds no recording, neither directly nor in its folders; read are flac, mp3, ogg, opus, wav"
    ):
        recordings(tmp_path)
    _folder(tmp_path, "1.wav", "a/1.wav")
    with pytest.raises(ValueError, match="1 loose recordings beside 1 folders of recordings"):
        recordings(tmp_path)
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    (tmp_path / "a" / "1.wav").rename(tmp_path / "2.wav")
    with pytest.raises(ValueError, match=r"1\.wav cannot be read as WAV"):
        recordings(tmp_path)


def _digits(root):
    return _folder(root, *(f"{digit}_{who}_{number}.wav" for digit in (0, 7) for who in "ab" for number in (0, 4, 5)))


def test_spoken_digits_have_their_own_split(tmp_path):
    folder = _digits(tmp_path / "FSDD" / "recordings")
    _folder(folder, "notes.wav")
    for root in (tmp_path, tmp_path / "FSDD", folder):
        data = spoken_digits(root)
        assert data.train.names == ["0_a_5.wav", "0_b_5.wav", "7_a_5.wav", "7_b_5.wav"]
        assert data.train.labels.tolist() == [0, 0, 7, 7]
        assert data.train.schema.classes == tuple("0123456789")
        assert data.train.groups.tolist() == [0, 1, 0, 1]
        assert data.train.schema.groups == ("speaker=a", "speaker=b")
        assert len(data.tests["test"]) == 8
        assert data.restore["encoding"]["sample_rate"] == 8000
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"spoken-digits needs <digit>_<speaker>_<number>\.wav in .*empty"):
        spoken_digits(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"say which folder holds them \(--data-root\)"):
        spoken_digits(None)


def test_the_real_digits(data_root):
    data = spoken_digits(data_root)
    assert (len(data.train), len(data.tests["test"])) == (900, 300)
    assert data.train.labels.bincount().tolist() == [90] * 10
    assert data.train.groups.bincount().tolist() == [150] * 6
    assert not any("cut" in note for note in data.train.notes)


def test_other_sound_files_are_recordings(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sound = np.random.default_rng(0).normal(size=2400, scale=0.1)
    for file in ("a/1.FLAC", "a/2.ogg", "b/3.mp3"):
        soundfile.write(tmp_path / file, sound, 8000)
    soundfile.write(tmp_path / "b" / "4.opus", sound, 8000, format="OGG", subtype="OPUS")
    assert has_recordings(tmp_path)
    data = recordings(tmp_path, test_share=0)
    assert data.train.names == ("a/1.FLAC", "a/2.ogg", "b/3.mp3", "b/4.opus")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    expected = log_mel(read_waveform(tmp_path / "a" / "1.FLAC")[0], 8000)
    assert _frames(data.train)["a/1.FLAC"].equal(expected)
