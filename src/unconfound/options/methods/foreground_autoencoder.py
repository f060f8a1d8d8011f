"""The options of `foreground-autoencoder`."""

from __future__ import annotations

from dataclasses import dataclass

from unconfound.options.constraints import NonNegativeInt, PositiveInt
from unconfound.options.views import ForegroundViewOptions


@dataclass(frozen=True, kw_only=True)
class ForegroundAutoencoderOptions(ForegroundViewOptions):
    """Options of `foreground-autoencoder`."""

    side: PositiveInt = 16
    """Side in pixels of the picture of the foreground that is drawn from the embedding."""
    directions: NonNegativeInt | None = None
    """Number of directions of the embedding that are kept after the training, those in which the views of a foreground
    agree most; by default an eighth of its width, and 0 keeps the embedding as it is."""
