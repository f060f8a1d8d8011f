"""One encoder in a report: its figures, its embeddings and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.figures import Evaluation
from unconfound.report.attention_maps import AttentionPart
from unconfound.report.environment_sheets import EnvironmentsPart
from unconfound.report.hardest import HardestPart
from unconfound.report.morph_pictures import MorphPart
from unconfound.report.strata_pictures import StrataPart


@dataclass(frozen=True)
class Entry:
    """What the report shows of one encoder.

    Args:
        evaluation: its figures. The name in it is how the page calls the encoder.
        embeddings: "train" and each test set -> embeddings. Those that are absent are left out of the pictures.
        curves: the run's `metrics.csv`: columns epoch, step, phase, loss, learning_rate and any other scalars.
        run: the run folder.
        strata: of ICL-MSR, or None.
        environments: of DCML, or None.
        attention: where its gates are open, or None.
        hardest: what it gets wrong in its worst group, or None.
        morphs: what its morpher makes of images, or None.
        facts: what was run, in words: encoder, parameters, epochs, batch size, seed, wall time, ...
    """

    evaluation: Evaluation
    embeddings: Mapping[str, Embeddings]
    curves: pd.DataFrame | None = None
    run: Path | None = None
    strata: StrataPart | None = None
    environments: EnvironmentsPart | None = None
    attention: AttentionPart | None = None
    hardest: HardestPart | None = None
    morphs: MorphPart | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How the page calls the encoder."""
        return self.evaluation.name
