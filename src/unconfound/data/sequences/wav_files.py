"""WAV files of plain samples: whole ones, and those of a writer that could not know how long the sound would be."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

# As the first four bytes say them: little-endian, big-endian, and the two forms for more than 4 GiB.
_ORDERS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}
_INTEGERS, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE
# Behind the code of the format in the GUID of an extensible one.
_GUID = bytes.fromhex("000000001000800000aa00389b71")
# From this size of a sound on, a file that has fewer bytes comes from a pipe: sox and espeak write 7FFFF000 to one,
# arecord 80000000, ffmpeg FFFFFFFF.
_UNKNOWN = 0x7FFFF000


@dataclass(frozen=True)
class Samples:
    """What the samples of a WAV file are.

    Args:
        kind: code of the format: 1 integers, 3 floats, others are encoded.
        order: of bytes, "<" or ">".
        channels: at least 1.
        rate: samples a second.
        width: bytes of a sample of one channel.
    """

    kind: int
    order: str
    channels: int
    rate: int
    width: int

    def is_plain(self) -> bool:
        """Say whether `decode` reads them."""
        return self.width in {_INTEGERS: (1, 2, 3, 4), _FLOATS: (4, 8)}.get(self.kind, ())


def is_wav(content: bytes) -> bool:
    """Say whether these are the first bytes of a WAV file."""
    return content[:4] in _ORDERS and content[8:12] == b"WAVE"


def find_samples(content: bytes) -> tuple[Samples, memoryview]:
    """Find the samples in the content of a WAV file, and say what they are.

    Where the size of the sound is one that a writer to a pipe, or one that was cut off, leaves, all that follows is
    sound, up to the last whole sample.

    Raises:
        ValueError: it is damaged, or ends before its sound does; the message does not know the file.
    """
    order = _ORDERS[content[:4]]
    position, samples, long_size = 12, None, 0
    while position + 8 <= len(content):
        name, size = struct.unpack_from(f"{order}4sI", content, position)
        position += 8
        if name == b"fmt ":
            samples = _samples(content[position : position + size], order)
        elif name == b"ds64" and len(content) >= position + 16:
            (long_size,) = struct.unpack_from("<Q", content, position + 8)
        elif name == b"data":
            if samples is None:
                raise ValueError("its sound comes before its format")
            return samples, memoryview(content)[position:][: _size(content, position, samples, long_size)]
        position += size + size % 2
    raise ValueError("it holds no sound (no chunk `data`)")


def decode(samples: Samples, sound: memoryview) -> Float[np.ndarray, "samples channels"]:
    """Return plain samples as numbers, integers scaled to [-1, 1)."""
    order, width = samples.order, samples.width
    if samples.kind == _FLOATS:
        values: np.ndarray[Any, Any] = np.frombuffer(sound, f"{order}f{width}").astype(np.float32)
    elif width == 1:
        values = (np.frombuffer(sound, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        # In the upper bytes of four.
        wide = np.zeros((len(sound) // 3, 4), np.uint8)
        wide[:, slice(1, 4) if order == "<" else slice(3)] = np.frombuffer(sound, np.uint8).reshape(-1, 3)
        values = wide.view(f"{order}i4").astype(np.float32) / np.float32(2.0**31)
    else:
        values = np.frombuffer(sound, f"{order}i{width}").astype(np.float32) / np.float32(2.0 ** (8 * width - 1))
    return values.reshape(-1, samples.channels)


def _samples(chunk: bytes, order: str) -> Samples:
    if len(chunk) < 16:
        raise ValueError("its format is cut off")
    kind, channels, rate, _, block, bits = struct.unpack_from(f"{order}HHIIHH", chunk)
    if kind == _EXTENSIBLE and chunk[26:40] == _GUID:
        (kind,) = struct.unpack_from(f"{order}H", chunk, 24)
    # What is compressed keeps many samples in a block, or none in particular.
    plain = kind in (_INTEGERS, _FLOATS)
    if not (channels and block) or (plain and (block % channels or bits > 8 * block // channels)):
        raise ValueError(f"its format is damaged ({channels} channels of {bits} bits in {block} bytes)")
    return Samples(kind, order, channels, rate, max(1, block // channels))


def _size(content: bytes, start: int, samples: Samples, long_size: int) -> int:
    """The bytes of sound that there are from `start` on."""
    whole: int
    stated: int
    (whole,) = struct.unpack_from(f"{samples.order}I", content, 4)
    (stated,) = struct.unpack_from(f"{samples.order}I", content, start - 4)
    rest = len(content) - start
    if stated == 0xFFFFFFFF and long_size:
        stated = long_size
    # A size of 0 is that of an empty sound where the file as a whole has a size that holds the chunks behind it.
    elif stated == 0xFFFFFFFF or _UNKNOWN <= stated > rest or (stated == 0 and not start < whole + 8 < _UNKNOWN):
        stated = rest
    if stated > rest:
        raise ValueError(f"it ends early: {rest:,} of {stated:,} bytes of sound are there")
    return stated - stated % (samples.width * samples.channels)
