"""What a user calls a nuisance: the part of each sample that is to tell nothing, and that another sample can give."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from unconfound.data.core.batch import Sequences


class Nuisance(ABC):
    """A part of each sample that can be exchanged for that of another sample.

    Attributes:
        words: what is exchanged, as in "the column sex".
    """

    words: str

    @abstractmethod
    def exchanged(
        self, inputs: Tensor | Sequences, givers: Tensor | Sequences, draws: Float[Tensor, " batch"]
    ) -> Tensor | Sequences:
        """Return samples of the same shape and lengths with the nuisance of others.

        Args:
            inputs: of a batch.
            givers: as many samples, each of which gives its nuisance to the one in its place.
            draws: in [0, 1), one a sample, for what else is random.
        """
