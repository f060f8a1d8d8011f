from __future__ import annotations

import wave

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from unconfound.data.sequences.mel import log_mel
from unconfound.data.sequences.waveforms import FRAMES, read_frames, read_waveform


def tone(samples=900, *, rate=8000, hertz=440.0):
    return 0.6 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)


def written(path, values, rate=8000):
    wavfile.write(path, rate, values)
    return path


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.round(tone() * 128 + 128).astype(np.uint8), 0.5 / 128),
        (np.round(tone() * 2**15).astype(np.int16), 0.5 / 2**15),
        (np.round(tone() * 2**31).astype(np.int32), 1e-7),
        (tone().astype(np.float32), 1e-7),
        (tone(), 1e-7),
    ],
)
def test_all_formats_give_the_same_waveform(tmp_path, values, error):
    waveform, rate = read_waveform(written(tmp_path / "a.wav", values))
    assert rate == 8000
    assert waveform.dtype == torch.float32
    torch.testing.assert_close(waveform.double(), torch.from_numpy(tone()), rtol=0, atol=error * 1.01)


def test_24_bits(tmp_path):
    values = np.round(tone() * 2**23).astype("<i4")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(8000)
        file.writeframes(values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    torch.testing.assert_close(
        read_waveform(tmp_path / "a.wav")[0].double(), torch.from_numpy(tone()), rtol=0, atol=1e-7
    )


def test_channels_are_averaged(tmp_path):
    both = np.stack([tone(), tone(hertz=800)], 1).astype(np.float32)
    waveform, _ = read_waveform(written(tmp_path / "a.wav", both))
    torch.testing.assert_close(waveform, torch.from_numpy(both.mean(1)))


@pytest.mark.parametrize("kept", [0, 10, 40, 300])
def test_damaged_files_are_named(tmp_path, kept):
    path = written(tmp_path / "a.wav", np.zeros(500, np.int16))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"a\.wav cannot be read as WAV: ") as raised:
        read_waveform(path)
    assert "\n" not in str(raised.value)


def test_what_is_no_sound_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.wav holds no sound: remove it"):
        read_waveform(written(tmp_path / "a.wav", np.zeros(0, np.int16)))
    spoilt = tone().astype(np.float32)
    spoilt[7] = np.nan
    with pytest.raises(ValueError, match=r"a\.wav holds NaN or infinity: repair or remove it"):
        read_waveform(written(tmp_path / "a.wav", spoilt))
    (tmp_path / "b.wav").write_text("no sound at all, but words that go on for a while")
    with pytest.raises(ValueError, match=r"b\.wav cannot be read as WAV"):
        read_waveform(tmp_path / "b.wav")


def test_frames_of_files_follow_each_other(tmp_path):
    paths = [written(tmp_path / f"{samples}.wav", tone(samples).astype(np.float32)) for samples in (900, 50, 2400)]
    frames = read_frames(paths, FRAMES, max_length=10)
    expected = [log_mel(read_waveform(path)[0], 8000)[:10] for path in paths]
    assert frames.lengths.tolist() == [len(each) for each in expected] == [9, 1, 10]
    assert frames.values.equal(torch.cat(expected))
    assert frames.sample_rate == 8000
    assert frames.notes == [
        "frames: 40 mel bands of 25 ms every 10 ms, at 8,000 samples a second",
        "1 of 3 recordings are longer than 10 frames: they are cut",
        "1 of 3 recordings are shorter than a window: silence is added",
    ]


def test_one_sample_rate_is_asked_for(tmp_path):
    paths = [written(tmp_path / "a.wav", tone()), written(tmp_path / "b.wav", tone(), rate=16_000)]
    with pytest.raises(ValueError, match=r"b\.wav has 16,000 samples a second, a\.wav has 8,000: resample to one rate"):
        read_frames(paths, FRAMES, max_length=10)
    with pytest.raises(ValueError, match=r"a\.wav has 8,000 .*, those that the encoder was trained on have 16,000"):
        read_frames(paths, FRAMES | {"sample_rate": 16_000}, max_length=10)
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        read_frames(paths, FRAMES, max_length=0)


def test_a_rate_that_nothing_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.wav is damaged: it has 4,000,000,000 samples a second, read are 1 to"):
        read_waveform(written(tmp_path / "a.wav", tone().astype(np.uint8), rate=4_000_000_000))
    path = written(tmp_path / "b.wav", tone(), rate=300)
    with pytest.raises(ValueError, match=r"b\.wav: 40 mel bands are too many for windows of 8 samples at 300 Hz"):
        read_frames([path], FRAMES, max_length=10)


@pytest.mark.parametrize(
    ("name", "form", "error"),
    [
        ("a.flac", {}, 2**-15),
        ("a.ogg", {}, 0.1),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.3),
        ("a.mp3", {}, 0.1),
        ("a.wav", {"subtype": "ULAW"}, 0.02),
        ("a.wav", {"subtype": "ALAW"}, 0.02),
        ("a.wav", {"subtype": "MS_ADPCM"}, 0.1),
    ],
)
def test_encoded_sounds_are_read_by_soundfile(tmp_path, name, form, error):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / name, tone(8000), 8000, **form)
    waveform, rate = read_waveform(tmp_path / name)
    assert rate == 8000
    # Compression works in blocks, the last of which may be filled up.
    assert 8000 <= len(waveform) < 8500
    assert np.sqrt(np.square(waveform.numpy()[:8000] - tone(8000)).mean()) < error


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_encoded_wav_files_of_a_pipe_are_read_to_their_end(tmp_path, size):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", tone(), 8000, subtype="ULAW")
    whole = read_waveform(tmp_path / "a.wav")[0]
    content = bytearray((tmp_path / "a.wav").read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = size.to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(content)
    assert read_waveform(tmp_path / "b.wav")[0].equal(whole)


def test_flac_of_a_pipe_is_refused(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", tone(8000), 8000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    # The number of samples: 36 bits, 0 where it is not known.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "b.flac").write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.flac cannot be read as sound: it does not say how long it is"):
        read_waveform(tmp_path / "b.flac")


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "b.wav"])
def test_encoded_sounds_that_end_early_are_refused(tmp_path, name, capfd):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / name
    soundfile.write(path, tone(8000), 8000, subtype="ULAW" if name == "b.wav" else None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"{name}.* (cannot be read|ends early)") as raised:
        read_waveform(path)
    assert "\n" not in str(raised.value)
    capfd.readouterr()  # the MP3 decoder's own warning


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    def missing(module):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr("unconfound.extras.import_module", missing)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    expected = r"a\.flac is no WAV file of plain samples, and soundfile is not installed: .*unconfound\[audio\]"
    with pytest.raises(ImportError, match=expected):
        read_waveform(tmp_path / "a.flac")
    assert len(read_waveform(written(tmp_path / "a.wav", tone()))[0]) == 900
