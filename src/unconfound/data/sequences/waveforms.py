"""Sound files as waveforms, and as log-mel frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data.files.damaged import naming
from unconfound.data.sequences.mel import log_mel
from unconfound.data.sequences.wav_files import decode, find_samples, is_wav
from unconfound.extras import require

# How a waveform becomes frames, see `log_mel`: bands, and seconds.
FRAMES: dict[str, Any] = {"bands": 40, "window": 0.025, "hop": 0.010}
# Endings of the files that are read as sound. All but .wav take soundfile, of the extra `audio`.
SOUNDS = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})
# What soundfile calls the encodings of WAV files that it is given without their header, which may be a pipe's.
_ENCODED = {6: "ALAW", 7: "ULAW"}
# Samples a second. Nothing that is heard has more; damaged files do.
_FASTEST = 1_000_000
# soundfile's number of samples where a file does not say it.
_UNSTATED = 2**63 - 1


def read_waveform(path: Path) -> tuple[Float[Tensor, " samples"], int]:
    """Read a sound; several channels are averaged.

    WAV files of integers (8, 16, 24 or 32 bit) or floats are read here, those of a pipe to their end. Other WAV files
    (µ-law, A-law, ADPCM) and other kinds of files (FLAC, Ogg, MP3) take soundfile.

    Returns:
        the waveform, integers scaled to [-1, 1), and its samples a second.

    Raises:
        ImportError: soundfile is needed and not installed.
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, of another format, empty, or holds NaN or infinity.
    """
    values, rate = _read_wav(path) if path.suffix.lower() == ".wav" else _read_encoded(path, path)
    if not values.size:
        raise ValueError(f"{path} holds no sound: remove it")
    if not 1 <= rate <= _FASTEST:
        raise ValueError(f"{path} is damaged: it has {rate:,} samples a second, read are 1 to {_FASTEST:,}")
    waveform = values[:, 0] if values.shape[1] == 1 else values.mean(1)
    if not np.isfinite(waveform).all():
        raise ValueError(f"{path} holds NaN or infinity: repair or remove it")
    return torch.from_numpy(waveform), rate


def _read_wav(path: Path) -> tuple[Float[np.ndarray, "samples channels"], int]:
    content = path.read_bytes()
    if not is_wav(content):
        raise ValueError(f"{path} cannot be read as WAV: it does not start as one")
    try:
        samples, sound = find_samples(content)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as WAV: {error}") from error
    if samples.is_plain():
        return decode(samples, sound), samples.rate
    if samples.kind not in _ENCODED:
        return _read_encoded(path, path)
    header = {"channels": samples.channels, "samplerate": samples.rate, "subtype": _ENCODED[samples.kind]}
    return _read_encoded(path, BytesIO(sound), format="RAW", **header)


def _read_encoded(path: Path, file: Path | BytesIO, **header: Any) -> tuple[Float[np.ndarray, "samples channels"], int]:
    soundfile = _soundfile(path)
    with naming(path, fault="cannot be read as sound"), soundfile.SoundFile(file, **header) as opened:
        stated, rate = opened.frames, opened.samplerate
        if stated == _UNSTATED:
            raise ValueError("it does not say how long it is, as of a pipe: write it to a file anew")
        values = opened.read(dtype="float32", always_2d=True)
    if len(values) < stated:
        raise ValueError(f"{path} ends early: {len(values):,} of {stated:,} samples are there")
    return values, int(rate)


def _soundfile(path: Path) -> Any:
    try:
        return require("soundfile", extra="audio")
    except ImportError as error:
        raise ImportError(f"{path} is no WAV file of plain samples, and {error}") from error


@dataclass(frozen=True, eq=False)
class Frames:
    """The log-mel frames of some recordings, one after the other."""

    values: Float[Tensor, "total bands"]
    lengths: Int[Tensor, " recordings"]
    sample_rate: int
    notes: list[str]

    def restore(self, stored: Mapping[str, Any], max_length: int) -> dict[str, object]:
        """Return how other recordings are read as these were, for `Dataset.restore`."""
        encoding = {**stored, "sample_rate": self.sample_rate}
        return {"kind": "recordings", "max_length": max_length, "encoding": encoding}


def read_frames(paths: Iterable[Path], stored: Mapping[str, Any], *, max_length: int) -> Frames:
    """Make log-mel frames of files.

    Args:
        paths: at least one.
        stored: bands, window and hop of `log_mel`, and the sample_rate, by default that of the first file.
        max_length: frames of a recording that are kept.

    Raises:
        ValueError: `max_length` is below 1, or a file is damaged, empty, or of another sample rate.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    options = {name: stored[name] for name in FRAMES}
    expected, whose = stored.get("sample_rate"), "those that the encoder was trained on have"
    kept, cut, short = [], 0, 0
    for path in paths:
        waveform, rate = read_waveform(path)
        if expected is None:
            expected, whose = rate, f"{path.name} has"
        if rate != expected:
            raise ValueError(f"{path} has {rate:,} samples a second, {whose} {expected:,}: resample to one rate")
        try:
            frames = log_mel(waveform, rate, **options)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        cut += len(frames) > max_length
        short += len(waveform) < round(stored["window"] * rate)
        kept.append(frames[:max_length])
    notes = [
        f"frames: {stored['bands']} mel bands of {1000 * stored['window']:g} ms every {1000 * stored['hop']:g} ms, "
        f"at {expected:,} samples a second"
    ]
    if cut:
        notes.append(f"{cut:,} of {len(kept):,} recordings are longer than {max_length} frames: they are cut")
    if short:
        notes.append(f"{short:,} of {len(kept):,} recordings are shorter than a window: silence is added")
    return Frames(torch.cat(kept), torch.tensor([len(frames) for frames in kept]), int(expected or 0), notes)
