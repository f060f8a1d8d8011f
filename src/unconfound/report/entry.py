"""One encoder in a report: its figures, its embeddings and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation


@dataclass(frozen=True)
class Entry:
    """What the report shows of one encoder.

    Args:
        evaluation: its figures. The name in it is how the page calls the encoder.
        embeddings: "train" and each test set -> embeddings. Those that are absent are left out of the pictures.
        curves: the run's `metrics.csv`: columns epoch, step, phase, loss, learning_rate and any other scalars.
        run: the run folder.
        parts: section of the page -> what that shows of this encoder alone, as `sections.SECTIONS` makes it.
        facts: what was run, in words: encoder, parameters, epochs, batch size, seed, wall time, ...
    """

    evaluation: Evaluation
    embeddings: Mapping[str, Embeddings]
    curves: pd.DataFrame | None = None
    run: Path | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How the page calls the encoder."""
        return self.evaluation.name
