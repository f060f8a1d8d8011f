"""What an encoder gets wrong in its worst group, and is surest of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from unconfound.data import Dataset
from unconfound.evaluation.evaluate import EncoderEvaluation
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.partitions import class_name
from unconfound.report.evaluated_sets import CLASSIFIER, PROBE
from unconfound.report.pictures import Sample, column_names, samples

SHOWN = 12
PREDICTORS = {"classifier": CLASSIFIER, "linear_probe": PROBE}  # the first that there is


@dataclass(frozen=True)
class Mistake:
    """A sample, what it was taken for, and with which probability."""

    sample: Sample
    answer: str
    confidence: float


@dataclass(frozen=True)
class HardestPart:
    """What the page shows of the worst group of one encoder.

    Args:
        group: its name.
        figure: its accuracy.
        predictor: "trained classifier" or "linear probe", whose answers these are.
        wrong: how many samples of the group have a wrong answer.
        mistakes: of these the surest, the surest first.
    """

    group: str
    figure: Figure
    predictor: str
    wrong: int
    mistakes: tuple[Mistake, ...]


def hardest_part(evaluated: EncoderEvaluation, dataset: Dataset, *, test: str) -> HardestPart | None:
    """Find the wrong answers of the worst group that the predictor is surest of.

    The predictor is the trained classifier, or the linear probe where there is none.

    Args:
        evaluated: the encoder's figures and answers.
        dataset: whose test set it is.
        test: the name of the test set.

    Returns:
        None where there are no groups, or no answers of single samples (a cross-validation).
    """
    predictor = next((each for each in PREDICTORS if test in evaluated.predictions.get(each, {})), None)
    evaluation = evaluated.evaluation
    figures = (evaluation.classifier_groups if predictor == "classifier" else evaluation.groups).get(test)
    if predictor is None or not figures:
        return None
    worst = min(figures, key=lambda group: figures[group].value)
    source, (known, labels) = dataset.tests[test], evaluated.embeddings[test].labelled()
    answers = evaluated.predictions[predictor][test]
    assert known.groups is not None
    assert answers.confidence is not None
    inside = known.groups == dataset.train.schema.groups.index(worst)
    wrong = (inside & (answers.classes != labels)).nonzero().flatten()
    order = answers.confidence[wrong].argsort(descending=True, stable=True)
    chosen: Tensor = wrong[order[:SHOWN]]
    names = column_names(dataset.train.schema, dataset.restore)
    seen = samples(source, known.index[chosen], names=names) if len(chosen) else []
    rows = zip(seen, answers.classes[chosen].tolist(), answers.confidence[chosen].tolist(), strict=True)
    return HardestPart(
        group=worst,
        figure=figures[worst],
        predictor=PREDICTORS[predictor],
        wrong=len(wrong),
        mistakes=tuple(Mistake(sample, class_name(source, answer), sure) for sample, answer, sure in rows),
    )
