"""WAV files as waveforms, and as log-mel frames."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.io import wavfile
from torch import Tensor

from unconfound.data.mel import log_mel

# How a waveform becomes frames, see `log_mel`: bands, and seconds.
FRAMES: dict[str, Any] = {"bands": 40, "window": 0.025, "hop": 0.010}


def read_waveform(path: Path) -> tuple[Float[Tensor, " samples"], int]:
    """Read a WAV file of integers (8, 16, 24 or 32 bit) or floats; several channels are averaged.

    Returns:
        the waveform, integers scaled to [-1, 1), and its samples a second.

    Raises:
        ValueError: it is damaged, of another format, empty, or holds NaN or infinity.
    """
    try:
        with warnings.catch_warnings():
            # A file that ends early is damaged; what else is stored beside the sound does not matter.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
    except (ValueError, OSError, EOFError, struct.error, wavfile.WavFileWarning, ZeroDivisionError) as error:
        raise ValueError(f"{path} cannot be read as WAV: {' '.join(str(error).split())}") from error
    if not values.size:
        raise ValueError(f"{path} holds no sound: remove it")
    if values.dtype == np.uint8:
        waveform = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        # 24 bits stand in the upper bits of 32.
        waveform = (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    else:
        waveform = values.astype(np.float32)
    if not np.isfinite(waveform).all():
        raise ValueError(f"{path} holds NaN or infinity: repair or remove it")
    return torch.from_numpy(waveform if waveform.ndim == 1 else waveform.mean(1)), int(rate)


@dataclass(frozen=True, eq=False)
class Frames:
    """The log-mel frames of some recordings, one after the other."""

    values: Float[Tensor, "total bands"]
    lengths: Int[Tensor, " recordings"]
    sample_rate: int
    notes: list[str]


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
        frames = log_mel(waveform, rate, **options)
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
