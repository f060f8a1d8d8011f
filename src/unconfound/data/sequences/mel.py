"""Sound as log-mel frames: how loud each band of frequencies is, window by window."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

# Below the quantisation noise of 16 bits; the logarithm of silence stays finite.
FLOOR = 1e-10


def log_mel(
    waveform: Float[Tensor, " samples"],
    sample_rate: int,
    *,
    bands: int = 40,
    window: float = 0.025,
    hop: float = 0.010,
) -> Float[Tensor, "frames bands"]:
    """Compute the logarithm of the power in bands of equal width on the mel scale.

    A frame is a window of the waveform under a periodic Hann window, with zeros up to the next power of two; its power
    spectrum |rfft|^2 is summed by triangles of height 1. Their corners are equally spaced from 0 to half of the sample
    rate on HTK's mel scale, 2595 log10(1 + f / 700), and their sides are straight in hertz, as in torchaudio. There
    are 1 + (samples - window) // hop frames: the rest is left out, and a shorter waveform is padded with zeros to one
    window.

    Args:
        waveform: in [-1, 1].
        sample_rate: samples a second.
        bands: how many.
        window: seconds a frame looks at.
        hop: seconds from frame to frame.

    Returns:
        natural logarithms, of at least 1e-10.

    Raises:
        ValueError: no sample, a window or hop below one sample, or more bands than the spectrum resolves.
    """
    size, step = round(window * sample_rate), round(hop * sample_rate)
    if not len(waveform):
        raise ValueError("a waveform needs at least one sample")
    if min(size, step) < 1 or bands < 1:
        raise ValueError(
            f"window ({window} s), hop ({hop} s) must be a sample or more and bands ({bands}) at least 1 "
            f"at {sample_rate} Hz"
        )
    padded = torch.nn.functional.pad(waveform, (0, max(0, size - len(waveform))))
    frames = padded.unfold(0, size, step) * torch.hann_window(size, dtype=waveform.dtype)
    length = 2 ** (size - 1).bit_length()
    power = torch.fft.rfft(frames, n=length).abs().square()
    loudness: Tensor = power @ mel_filters(sample_rate, length, bands).to(power.dtype)
    return loudness.clamp_min(FLOOR).log()


@lru_cache(maxsize=8)
def mel_filters(sample_rate: int, length: int, bands: int) -> Float[Tensor, "frequencies bands"]:
    """Return the weight of each frequency of an rfft of `length` samples in each band, in float64.

    Raises:
        ValueError: a band lies between two frequencies.
    """
    # 2595 drops out: a mel is any constant times the logarithm.
    top = math.log10(1 + sample_rate / 2 / 700)
    corners = 700 * (10 ** torch.linspace(0, top, bands + 2, dtype=torch.float64) - 1)
    frequency = torch.arange(length // 2 + 1, dtype=torch.float64)[:, None] * sample_rate / length
    rising = (frequency - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequency) / (corners[2:] - corners[1:-1])
    filters = torch.minimum(rising, falling).clamp_min(0)
    if not filters.any(0).all():
        raise ValueError(
            f"{bands} mel bands are too many for windows of {length} samples at {sample_rate} Hz: "
            "use fewer bands or longer windows"
        )
    return filters
