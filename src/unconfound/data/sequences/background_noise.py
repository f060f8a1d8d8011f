"""The background of a recording, as a nuisance: it is mixed into another recording at a signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.data.core.batch import Sequences
from unconfound.data.core.nuisance import Nuisance
from unconfound.data.sequences.mel import FLOOR

# The share of a recording's frames, the quietest ones, that are taken for its background.
QUIET = 0.25
# The logarithm of digital silence, with room for rounding.
_SILENCE = math.log(FLOOR) + 1e-3


@dataclass(frozen=True, eq=False)
class BackgroundNoise(Nuisance):
    """The background of a recording: the quietest quarter of its log-mel frames, repeated as often as needed.

    The powers of a recording and of a background are added, as those of independent sounds do in the mean. The
    background is scaled so that the ratio of the mean powers, over all bands and frames, is the signal-to-noise ratio.
    It is added to what is there: the recording's own background stays, too.

    Args:
        lowest, highest: ratio in dB, uniform between them.
        words: as for every nuisance.

    Raises:
        ValueError: a ratio is not finite, or `lowest` is above `highest`.
    """

    lowest: float
    highest: float
    words: str = "the background"

    def __post_init__(self) -> None:
        if not -math.inf < self.lowest <= self.highest < math.inf:
            raise ValueError(
                f"nuisance_snr is {self.lowest:g} to {self.highest:g}: give the lowest and the highest ratio in dB, as "
                "in 0 10"
            )

    def exchanged(
        self, inputs: Tensor | Sequences, givers: Tensor | Sequences, draws: Float[Tensor, " batch"]
    ) -> Tensor | Sequences:
        """Return recordings with the backgrounds of others added, at ratios that are drawn."""
        assert isinstance(inputs, Sequences)
        assert isinstance(givers, Sequences)
        present = inputs.mask()
        power = inputs.values.exp()
        noise = quiet_frames(givers, inputs.values.shape[1]).exp()
        ratio = 10 ** ((self.lowest + draws.to(power) * (self.highest - self.lowest)) / 10)
        gain = _mean_power(power, present) / (_mean_power(noise, present) * ratio)
        mixed = (power + gain[:, None, None] * noise).clamp_min(FLOOR).log()
        return Sequences(mixed.masked_fill(~present[..., None], 0), inputs.lengths)


def background_noise(
    lowest: float, highest: float, recordings: Sequences, *, name: str
) -> tuple[BackgroundNoise, list[str]]:
    """Make the backgrounds of recordings a nuisance.

    Args:
        lowest, highest: ratio in dB.
        recordings: some of those to train on.
        name: how errors call these.

    Returns:
        The nuisance, and notes.

    Raises:
        ValueError: as for `BackgroundNoise`, or all recordings are silent where they are quietest.
    """
    noise = BackgroundNoise(lowest, highest)
    quiet = quiet_frames(recordings, recordings.values.shape[1])
    silent = int((quiet <= _SILENCE).flatten(1).all(1).sum())
    if silent == len(quiet):
        raise ValueError(
            f"the quietest quarter of each of the {silent:,} recordings of {name} that were looked at is silence, "
            "which is no background to exchange: leave --nuisance-snr out"
        )
    notes = [f"nuisance: {noise.words}, at {lowest:g} to {highest:g} dB"]
    if silent:
        notes.append(
            f"{silent:,} of {len(quiet):,} recordings are silent where they are quietest: as their background, noise "
            "that is even over all bands is added"
        )
    return noise, notes


def quiet_frames(recordings: Sequences, frames: int) -> Float[Tensor, "batch {frames} bands"]:
    """Return the quietest quarter of the frames of each recording in their order, repeated to a number of frames."""
    loudness = recordings.values.logsumexp(2).masked_fill(~recordings.mask(), math.inf)
    counts = (recordings.lengths * QUIET).ceil().long()
    ranks = loudness.argsort(dim=1, stable=True)
    place = torch.arange(ranks.shape[1], device=ranks.device)
    # Those that are too loud go behind all others.
    kept = ranks.masked_fill(place >= counts[:, None], ranks.shape[1]).sort(1).values
    chosen = torch.arange(frames, device=ranks.device) % counts[:, None]
    position = kept.gather(1, chosen)
    return recordings.values.gather(1, position[..., None].expand(-1, -1, recordings.values.shape[2]))


def _mean_power(power: Float[Tensor, "batch time bands"], present: Bool[Tensor, "batch time"]) -> Tensor:
    return (power.sum(2) * present).sum(1) / present.sum(1)
