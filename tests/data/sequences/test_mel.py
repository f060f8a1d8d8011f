from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data.sequences.mel import FLOOR, log_mel, mel_filters


def naive(waveform, rate, *, bands, window, hop):
    """The definition, by sums, in float64."""
    size, step = round(window * rate), round(hop * rate)
    length = 1
    while length < size:
        length *= 2
    samples = list(waveform) + [0.0] * max(0, size - len(waveform))

    def mel(hertz):
        return 2595 * math.log10(1 + hertz / 700)

    def hertz(mel):
        return 700 * (10 ** (mel / 2595) - 1)

    corners = [hertz(mel(rate / 2) * place / (bands + 1)) for place in range(bands + 2)]
    time = np.arange(size)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / size)
    rows = []
    for start in range(0, len(samples) - size + 1, step):
        frame = np.array(samples[start : start + size]) * hann
        row = []
        power = [abs((frame * np.exp(-2j * np.pi * k * time / length)).sum()) ** 2 for k in range(length // 2 + 1)]
        for low, middle, high in zip(corners, corners[1:], corners[2:]):  # noqa: B905
            total = 0.0
            for k, each in enumerate(power):
                frequency = k * rate / length
                if low < frequency <= middle:
                    total += each * (frequency - low) / (middle - low)
                elif middle < frequency < high:
                    total += each * (high - frequency) / (high - middle)
            row.append(math.log(max(total, 1e-10)))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 500),
    st.sampled_from([(1000, 5, 0.064, 0.03), (8000, 20, 0.025, 0.01), (4000, 8, 0.05, 0.07)]),
    st.integers(0, 99),
)
def test_frames_are_those_of_the_definition(samples, form, seed):
    rate, bands, window, hop = form
    waveform = torch.rand(samples, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    expected = naive(waveform.tolist(), rate, bands=bands, window=window, hop=hop)
    found = log_mel(waveform, rate, bands=bands, window=window, hop=hop)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    single = log_mel(waveform.float(), rate, bands=bands, window=window, hop=hop)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_is_loudest_in_its_own_band(rate):
    middles = [700 * (10 ** (place / 41 * math.log10(1 + rate / 1400)) - 1) for place in range(1, 41)]
    for band in (3, 17, 33):
        tone = torch.sin(2 * math.pi * middles[band] * torch.arange(rate // 4) / rate)
        frames = log_mel(tone, rate)
        assert frames.shape == (1 + (rate // 4 - round(0.025 * rate)) // round(0.01 * rate), 40)
        assert (frames.argmax(1) == band).all()


def test_loudness_shifts_all_bands_alike():
    waveform = torch.randn(4000, dtype=torch.float64)
    torch.testing.assert_close(log_mel(waveform * 3, 8000), log_mel(waveform, 8000) + math.log(9))


def test_silence_is_finite():
    assert log_mel(torch.zeros(400), 8000).eq(math.log(FLOOR)).all()


def test_a_short_waveform_gives_one_frame():
    waveform = torch.randn(30)
    padded = torch.nn.functional.pad(waveform, (0, 170))
    assert log_mel(waveform, 8000).equal(log_mel(padded, 8000))
    assert len(log_mel(waveform, 8000)) == 1


def test_bands_cover_every_frequency_between_the_first_and_the_last_middle():
    filters = mel_filters(16_000, 512, 40)
    inside = filters.sum(1)[5:-20]
    torch.testing.assert_close(inside, torch.ones_like(inside))
    assert filters.max() <= 1


@pytest.mark.parametrize(
    ("waveform", "arguments", "message"),
    [
        (torch.zeros(0), {}, "a waveform needs at least one sample"),
        (torch.zeros(9), {"bands": 0}, r"bands \(0\) at least 1 at 8000 Hz"),
        (torch.zeros(9), {"hop": 1e-5}, r"hop \(1e-05 s\) must be a sample or more"),
        (torch.zeros(9), {"window": 0.0}, r"window \(0.0 s\)"),
        (torch.zeros(9), {"bands": 100}, "100 mel bands are too many for windows of 256 samples at 8000 Hz: use fewer"),
    ],
)
def test_what_gives_no_frames_is_refused(waveform, arguments, message):
    with pytest.raises(ValueError, match=message):
        log_mel(waveform, 8000, **arguments)
