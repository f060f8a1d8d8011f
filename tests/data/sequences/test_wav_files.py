from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest

from unconfound.data.sequences.wav_files import decode, find_samples, is_wav

GUID = bytes.fromhex("000000001000800000aa00389b71")
NUMBERS = np.round(np.sin(np.arange(101) / 5) * 2**31 * 0.7).astype(np.int64)


def _format(kind, bits, *, order="<", channels=1, more=b""):
    block = channels * bits // 8
    return struct.pack(f"{order}HHIIHH", kind, channels, 8000, 8000 * block, block, bits) + more


def _file(*chunks, order="<", magic=b"RIFF", whole=None):
    body = b"WAVE"
    for name, content, *size in chunks:
        stated = size[0] if size else len(content)
        body += name + struct.pack(f"{order}I", stated) + content + b"\0" * (len(content) % 2)
    return magic + struct.pack(f"{order}I", len(body) if whole is None else whole) + body


def _bytes(bits, order="<"):
    """NUMBERS in the upper bits, one number at a time."""
    width = bits // 8
    if bits == 8:
        return bytes(int(number >> 24) + 128 for number in NUMBERS)
    way = "little" if order == "<" else "big"
    return b"".join(int(number >> (32 - bits)).to_bytes(width, way, signed=True) for number in NUMBERS)


def _read(content):
    assert is_wav(content)
    samples, sound = find_samples(content)
    assert samples.rate == 8000
    return decode(samples, sound)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_integers_of_both_orders(bits, order):
    magic = b"RIFF" if order == "<" else b"RIFX"
    content = _file((b"fmt ", _format(1, bits, order=order)), (b"data", _bytes(bits, order)), order=order, magic=magic)
    values = _read(content)
    assert values.shape == (101, 1)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values[:, 0], ((NUMBERS >> (32 - bits)) / 2.0 ** (bits - 1)).astype(np.float32))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("extensible", [False, True])
def test_floats(bits, extensible):
    floats = (NUMBERS / 2**31).astype(f"<f{bits // 8}")
    more = struct.pack("<HHIH", 22, bits, 4, 3) + GUID if extensible else b""
    content = _file((b"fmt ", _format(0xFFFE if extensible else 3, bits, more=more)), (b"data", floats.tobytes()))
    np.testing.assert_array_equal(_read(content)[:, 0], floats.astype(np.float32))


def test_channels_and_other_chunks():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(200, dtype="<i2").tobytes())
    plain = buffer.getvalue()
    expected = np.arange(200).reshape(-1, 2) / 2**15
    np.testing.assert_array_equal(_read(plain), expected)
    extra = struct.pack("<4sI", b"LIST", 5) + b"INFOx\0"
    np.testing.assert_array_equal(_read(plain[:36] + extra + plain[36:] + extra), expected)


DATA = _bytes(16)


@pytest.mark.parametrize(
    ("size", "whole"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0x7FFFF000, 0x7FFFF024),  # sox, espeak
        (0x80000000, 0x80000024),  # arecord
        (0, 0),
        (0, 36),
        (0, 0xFFFFFFFF),
    ],
)
@pytest.mark.parametrize("cut", [0, 1])
def test_a_pipe_is_read_to_the_last_whole_sample(size, whole, cut):
    content = _file((b"fmt ", _format(1, 16)), (b"data", DATA, size), whole=whole)
    values = _read(content[: len(content) - cut])
    np.testing.assert_array_equal(values[:, 0], ((NUMBERS >> 16) / 2**15)[: 101 - cut])


def test_more_than_four_gib_are_counted_elsewhere():
    long = struct.pack("<QQQI", 0, len(DATA), 101, 0)
    content = _file(
        (b"ds64", long), (b"fmt ", _format(1, 16)), (b"data", DATA, 0xFFFFFFFF), (b"LIST", b"INFO"), magic=b"RF64"
    )
    np.testing.assert_array_equal(_read(content)[:, 0], (NUMBERS >> 16) / 2**15)


def test_an_empty_sound_is_empty():
    assert _read(_file((b"fmt ", _format(1, 16)), (b"data", b""))).shape == (0, 1)
    assert _read(_file((b"fmt ", _format(1, 16)), (b"data", b""), (b"LIST", b"INFOabcd"))).shape == (0, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_file((b"fmt ", _format(1, 16)), (b"data", DATA))[:-20], "it ends early: 182 of 202 bytes of sound are there"),
        (_file((b"fmt ", _format(1, 16))), "it holds no sound"),
        (_file((b"data", DATA), (b"fmt ", _format(1, 16))), "its sound comes before its format"),
        (_file((b"fmt ", _format(1, 16)[:12]), (b"data", DATA)), "its format is cut off"),
        (_file((b"fmt ", _format(1, 16, channels=0)), (b"data", DATA)), "0 channels of 16 bits in 0 bytes"),
        (_file((b"fmt ", struct.pack("<HHIIHH", 1, 2, 8000, 0, 3, 8)), (b"data", DATA)), "2 channels of 8 bits in 3"),
        (_file((b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 0, 1, 16)), (b"data", DATA)), "1 channels of 16 bits in 1"),
    ],
)
def test_damaged_files_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        find_samples(content)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0AVI fmt ", b"OggS\0\0\0\0WAVE"])
def test_other_files_are_none(content):
    assert not is_wav(content)
