"""The numbers of an evaluation: each a value with its 95 % confidence interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unconfound.documents import read_sealed, sealed
from unconfound.files import write_text
from unconfound.records import record

# With fewer samples than this the interval of a share is more than half as wide as all that it can be.
TELLING = 10
VALIDATION = "validation"  # evaluated like a test set, but for model selection
RETRIEVAL = ("precision_at_1", "r_precision", "map_at_r")


@dataclass(frozen=True)
class Figure:
    """A measured value and its 95 % confidence interval.

    Shares (accuracy, precision, ...) lie in [0, 1]; printed ones are in percent.

    Raises:
        ValueError: a number is not finite. An undefined figure is left out, not written down.
    """

    value: float
    low: float
    high: float
    samples: int

    @property
    def too_few(self) -> bool:
        """Whether it comes from so few samples that its value says next to nothing."""
        return self.samples < TELLING

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.low, self.high))):
            raise ValueError(f"the figure {self} is not finite; leave an undefined figure out")

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Evaluation:
    """How good the embeddings of one encoder are.

    Args:
        name: how tables and pictures call the encoder.
        tests: test set -> metric -> figure. Metrics: classifier (the one trained with the encoder, where there is one),
            linear_probe, exchanged_probe (fitted on training images whose backgrounds were exchanged, where foregrounds
            are known), knn, precision_at_1, r_precision, map_at_r, and, where there are groups, worst_group,
            average_group, reweighted_average of the probe, and the same of the classifier as worst_group_classifier,
            .... The set "validation" is for model selection, and not a test set. A set of classes that were not
            trained on has the three retrieval figures alone.
        groups: test set -> group -> accuracy of the linear probe. A group without samples is left out.
        background: background_gap (mixed-same minus mixed-rand, linear probe, paired by sample) and the same for
            kNN, the classifier and the probe of exchanged backgrounds as background_gap_knn, background_gap_classifier
            and background_gap_exchanged_probe; adversarial_share and adversarial_share_classifier, the share of
            foregrounds that no background fools. Of classes that were not trained on: background_gap_precision_at_1,
            background_gap_map_at_r, precision_at_1_crossed and map_at_r_crossed, as `retrieval_on_backgrounds` gives
            them. Empty where foregrounds are not known and no nuisance is named.
        cells: "trained on/tested on", each full or foreground -> accuracy of the linear probe.
        settings: what was chosen or given: neighbours, regularisation of the probe, sample counts, seconds.
        notes: what a reader must know, in plain words (a class without test samples, ...).
        classifier_groups: test set -> group -> accuracy of the classifier; empty where there is none.
        further: test set -> metric -> figure that tables leave out: top_5 of the linear probe and top_5_classifier of
            more than five classes, recall_at_2, recall_at_4, recall_at_8 and mean_reciprocal_rank.
        classes: test set -> class -> accuracy of the linear probe. A class without samples is left out.
        morph: mask_foreground, mask_background and mask_difference: means of the masks of an encoder with a morpher;
            empty without one, and where foregrounds are not known.
        advice: what can be done about what was found: sentences that end with the command, if there is one.
    """

    name: str
    tests: dict[str, dict[str, Figure]]
    groups: dict[str, dict[str, Figure]] = field(default_factory=dict)
    background: dict[str, Figure] = field(default_factory=dict)
    cells: dict[str, Figure] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    classifier_groups: dict[str, dict[str, Figure]] = field(default_factory=dict)
    morph: dict[str, Figure] = field(default_factory=dict)
    further: dict[str, dict[str, Figure]] = field(default_factory=dict)
    classes: dict[str, dict[str, Figure]] = field(default_factory=dict)
    advice: tuple[str, ...] = ()

    @property
    def gap(self) -> Figure | None:
        """The gap of the encoder's own classifier, or else of the linear probe; None without either."""
        return self.background.get("background_gap_classifier", self.background.get("background_gap"))

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as plain values, as `evaluation.json` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Rebuild what `to_json` gave; what earlier versions did not know may be absent.

        Raises:
            ValueError: it is something else; in one line, what is wrong.
        """
        return record(cls, values)


def set_title(test: str) -> str:
    """Return how tables call a set of samples: by its name, and what it is not where it is no test set."""
    return f"{test} (not a test)" if test == VALIDATION else test


def retrieved_only(evaluations: Sequence[Evaluation], tests: Iterable[str]) -> list[str]:
    """Return the sets that have retrieval figures and no accuracy: their classes were not trained on."""
    figures = {test: {metric for each in evaluations for metric in each.tests.get(test, {})} for test in tests}
    return [test for test, known in figures.items() if known and known <= set(RETRIEVAL)]


def primary_of(tests: Iterable[str]) -> str:
    """Return the test set that pictures are taken from: the one like the training data, or the first."""
    names = list(tests)
    return "original" if "original" in names else names[0]


def write_evaluations(
    path: Path, evaluations: Sequence[Evaluation], *, command: str, environment: Mapping[str, Any]
) -> None:
    """Write an `evaluation.json`, whole or not at all. A setting that is not a finite number becomes null.

    Args:
        path: the file. An existing one is replaced.
        evaluations: those of the encoders.
        command: what was run.
        environment: versions, hardware, git state, as JSON values.
    """
    document = {
        "format": 1,
        "command": command,
        "environment": environment,
        "evaluations": [evaluation.to_json() for evaluation in evaluations],
    }
    write_text(path, json.dumps(sealed(_finite(document)), indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_evaluation(path: Path) -> list[Evaluation]:
    """Read the evaluations of an `evaluation.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an `evaluation.json`, or one of another format.
    """
    document = read_sealed(path, format=1, remedy="evaluate the encoder again")
    try:
        return list(record(_Document, document).evaluations)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): evaluate the encoder again") from error


@dataclass(frozen=True)
class _Document:
    """What an `evaluation.json` says beside its format."""

    evaluations: tuple[Evaluation, ...]
    command: str = ""
    environment: dict[str, Any] = field(default_factory=dict)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
