from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from unconfound.data.core.batch import Sequences
from unconfound.data.load import load_dataset
from unconfound.data.sequences.background_noise import BackgroundNoise, background_noise, quiet_frames
from unconfound.data.sequences.mel import FLOOR


def recordings(lengths, *, bands=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths)
    values = torch.randn(len(lengths), int(lengths.max()), bands, generator=generator, dtype=torch.float64)
    found = Sequences(values, lengths)
    return Sequences(values.masked_fill(~found.mask()[..., None], 0), lengths)


def rows(found):
    return [values[:length].numpy() for values, length in zip(found.values, found.lengths.tolist(), strict=True)]


def naive(own, giver, ratio):
    power, other = np.exp(own), np.exp(giver)
    count = math.ceil(len(other) / 4)
    quiet = other[sorted(sorted(range(len(other)), key=lambda frame: other[frame].sum())[:count])]
    noise = np.stack([quiet[frame % count] for frame in range(len(own))])
    gain = power.sum() / noise.sum() / 10 ** (ratio / 10)
    return np.log(power + gain * noise)


@pytest.mark.parametrize("lengths", [([9, 4, 1, 7], [3, 12, 8, 1]), ([1], [1])])
def test_powers_are_added_at_the_ratio(lengths):
    own, givers = recordings(lengths[0]), recordings(lengths[1], seed=1)
    draws = torch.linspace(0, 0.9, len(lengths[0]))
    found = BackgroundNoise(-5, 10).exchanged(own, givers, draws)
    assert found.lengths is own.lengths
    for mixed, kept, giver, draw in zip(rows(found), rows(own), rows(givers), draws.tolist(), strict=True):
        np.testing.assert_allclose(mixed, naive(kept, giver, -5 + 15 * draw), rtol=1e-6)
    assert (found.values[~own.mask()] == 0).all()


def test_loudness_of_the_giver_and_padding_change_nothing():
    own, givers, draws = recordings([5, 6]), recordings([8, 3], seed=1), torch.zeros(2)
    noise = BackgroundNoise(0, 0)
    louder = Sequences((givers.values + 3).masked_fill(~givers.mask()[..., None], 0), givers.lengths)
    padded = Sequences(torch.nn.functional.pad(givers.values, (0, 0, 0, 5)), givers.lengths)
    expected = noise.exchanged(own, givers, draws).values
    torch.testing.assert_close(noise.exchanged(own, louder, draws).values, expected)
    torch.testing.assert_close(noise.exchanged(own, padded, draws).values, expected)


def test_silence_stays_finite():
    silent = Sequences(torch.full((1, 4, 3), math.log(FLOOR)), torch.tensor([4]))
    found = BackgroundNoise(-20, 60).exchanged(silent, silent, torch.tensor([0.5]))
    assert found.values.isfinite().all()


def test_quiet_frames_keep_their_order():
    values = torch.tensor([5.0, 1, 9, 0, 8, 7, 6, 4])[None, :, None]
    found = quiet_frames(Sequences(values, torch.tensor([8])), 5)
    assert found[0, :, 0].tolist() == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("ratios", [(10, 0), (math.nan, 0), (0, math.inf)])
def test_ratios_that_are_none(ratios):
    with pytest.raises(ValueError, match="give the lowest and the highest ratio in dB, as in 0 10"):
        BackgroundNoise(*ratios)


@pytest.fixture
def quiet():
    """Two recordings with pauses, the first of them silent there."""
    found = recordings([8, 8])
    found.values[0, 2:4] = math.log(FLOOR)
    return found


def test_recordings_that_are_silent_are_noted(quiet):
    noise, notes = background_noise(0, 10, quiet, name="calls")
    assert (noise.lowest, noise.highest) == (0, 10)
    assert notes[0] == "nuisance: the background, at 0 to 10 dB"
    assert notes[1].startswith("1 of 2 recordings are silent where they are quietest: as their background, noise")
    loud = Sequences(quiet.values[1:], quiet.lengths[1:])
    assert len(background_noise(0, 10, loud, name="calls")[1]) == 1


def test_recordings_that_are_all_silent_are_refused(quiet):
    silent = Sequences(quiet.values[:1], quiet.lengths[:1])
    with pytest.raises(ValueError, match="each of the 1 recordings of calls that were looked at is silence") as error:
        background_noise(0, 10, silent, name="calls")
    assert "\n" not in str(error.value)


def test_folders_of_recordings_exchange_backgrounds(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        wavfile.write(folder / f"{number}.wav", 8000, rng.normal(0, 0.1, 800 + 80 * number).astype(np.float32))
    assert load_dataset(tmp_path).train.nuisance is None
    dataset = load_dataset(tmp_path, nuisance_snr=(0.0, 10.0), test_share=0.4)
    assert dataset.train.nuisance.words == "the background"
    assert list(dataset.tests) == ["original", "mixed-same", "mixed-rand"]
    (original,), (mixed,) = (dataset.tests[name].batches([torch.arange(4)]) for name in ("original", "mixed-rand"))
    assert mixed.inputs.lengths.equal(original.inputs.lengths)
    present = original.inputs.mask()
    assert (mixed.inputs.values[present] > original.inputs.values[present]).all()
