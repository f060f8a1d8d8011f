"""What the figures mean, in two plain sentences that say no more than the intervals allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unconfound.evaluation.figures import Evaluation, Figure, retrieved_only
from unconfound.report.evaluated_sets import CLASSIFIER, PROBE, where_evaluated
from unconfound.report.words import listed

NAMED = 4  # more encoders than this in one sentence are a list nobody reads


@dataclass(frozen=True)
class Criterion:
    """Which figures sentences are about: those of trained classifiers, of linear probes, or of retrieval.

    Args:
        name: in words.
        accuracy, worst, gap: names of figures.
        measure: what `accuracy` is, in words.
        chance: name of the figure that is one over the number of classes by chance.
    """

    name: str
    accuracy: str
    worst: str
    gap: str
    measure: str
    chance: str

    def groups(self, evaluation: Evaluation, test: str) -> Mapping[str, Figure]:
        """Accuracies by group on a test set."""
        return (evaluation.classifier_groups if self is OWN else evaluation.groups).get(test, {})


OWN = Criterion(
    CLASSIFIER,
    "classifier",
    "worst_group_classifier",
    "background_gap_classifier",
    f"the accuracy of the {CLASSIFIER}",
    "classifier",
)
FITTED = Criterion(
    PROBE, "linear_probe", "worst_group", "background_gap", f"the accuracy of the {PROBE}", "linear_probe"
)
FOUND = Criterion("retrieval", "map_at_r", "", "background_gap_map_at_r", "MAP@R", "precision_at_1")


def sentences(
    evaluations: Sequence[Evaluation], *, classes: int, primary: str, images: bool = True, nuisance: str = ""
) -> tuple[str, str]:
    """Say what was measured, and what it means.

    Where every encoder has a classifier that was trained with it, sentences are about these classifiers; else they are
    about the linear probes, which can be compared. Of classes that were not trained on they are about retrieval.

    Args:
        evaluations: of one data set; at least one.
        classes: how many classes the primary test set has, for the accuracy of chance.
        primary: the test set like the training data, or "cross-validation".
        images: the samples have backgrounds, which could have been swapped.
        nuisance: what was swapped in their place, in words; the empty string: backgrounds.

    Returns:
        Two sentences. A difference whose interval holds 0 is not called one.
    """
    owned = all("classifier" in each.tests.get(primary, {}) for each in evaluations)
    criterion = FOUND if retrieved_only(evaluations, [primary]) else OWN if owned else FITTED
    measured = [each for each in evaluations if criterion.gap in each.background]
    if measured:
        loss, reliance = _loss(measured, criterion, nuisance), _reliance(measured, classes, criterion, nuisance)
        return loss, reliance
    grouped = [each for each in evaluations if criterion.worst in each.tests.get(primary, {})]
    if grouped:
        return _groups(grouped, primary, criterion), _worst(grouped, primary, criterion, images=images)
    return _accuracy(evaluations, primary, criterion), _ahead(evaluations, primary, criterion, images=images)


def points(figure: Figure) -> str:
    """Write a difference of shares in percentage points, with its interval."""
    return f"{100 * figure.value:.1f} points [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def percent(figure: Figure) -> str:
    """Write a share in percent, with its interval."""
    return f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _loss(evaluations: Sequence[Evaluation], criterion: Criterion, nuisance: str) -> str:
    def clause(evaluation: Evaluation, before: Evaluation | None) -> str:
        gap, name = evaluation.background[criterion.gap], evaluation.name
        if gap.value >= 0:
            return f"{'' if before else 'falls '}by {points(gap)} for “{name}”"
        gain = Figure(-gap.value, -gap.high, -gap.low, gap.samples)
        return (
            f"{'' if before and before.background[criterion.gap].value < 0 else 'rises '}by {points(gain)} for “{name}”"
        )

    ranked = _most_first(evaluations, criterion)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    clauses = [clause(each, before) for each, before in zip(shown, [None, *shown], strict=False)]
    swapped = "test images are put on random backgrounds instead of backgrounds of their own class"
    if nuisance:
        swapped = f"test samples get {nuisance} of samples of random classes instead of samples of their own class"
    return f"When {swapped}, {criterion.measure} {listed(clauses)}{between}."


def _between(count: int) -> str:
    return f" (the other {count - 2} lie in between)"


def _reliance(evaluations: Sequence[Evaluation], classes: int, criterion: Criterion, nuisance: str) -> str:
    blind = [each for each in evaluations if _at_chance(each, classes, criterion)]
    rest = _most_first([each for each in evaluations if each not in blind], criterion)
    relying = [each for each in rest if each.background[criterion.gap].low > 0]
    gaining = [each for each in rest if each.background[criterion.gap].high < 0]
    clear = [each for each in rest if each not in relying and each not in gaining]
    clauses = []
    if relying:
        clauses.append(f"{_names(relying)} {_verb(relying, 'relies', 'rely')} on {nuisance or 'the background'}")
    if clear:
        owner = "its interval contains" if len(clear) == 1 else "their intervals contain"
        clauses.append(f"no reliance is shown for {_names(clear)} ({owner} 0)")
    if gaining:
        better = f"with {nuisance} of random classes" if nuisance else "on random backgrounds"
        clauses.append(f"{_names(gaining)} {_verb(gaining, 'does', 'do')} better {better}")
    if blind:
        owner = "its gap says" if len(blind) == 1 else "their gaps say"
        clauses.append(f"{_names(blind)} {_verb(blind, 'is', 'are')} no better than chance, so {owner} nothing")
    if len(relying) > 1:
        clauses.append(_compared(relying, criterion))
    return f"So {'; '.join(clauses)}."


def _at_chance(evaluation: Evaluation, classes: int, criterion: Criterion) -> bool:
    accuracy = evaluation.tests.get("mixed-same", {}).get(criterion.chance)
    return accuracy is not None and classes > 0 and accuracy.low <= 1 / classes


def _compared(relying: Sequence[Evaluation], criterion: Criterion) -> str:
    most, second, least = relying[0], relying[1], relying[-1]
    lowest = most.background[criterion.gap].low
    if second.background[criterion.gap].high < lowest:
        return f"“{most.name}” relies on it {'more' if len(relying) == 2 else 'most'}"
    if least.background[criterion.gap].high < lowest:
        return f"“{most.name}” relies on it more than “{least.name}”"
    return "the intervals overlap, so it is not clear which relies on it most"


def _most_first(evaluations: Sequence[Evaluation], criterion: Criterion) -> list[Evaluation]:
    return sorted(evaluations, key=lambda each: -each.background[criterion.gap].value)


def _groups(evaluations: Sequence[Evaluation], primary: str, criterion: Criterion) -> str:
    def clause(evaluation: Evaluation) -> str:
        metrics, groups = evaluation.tests[primary], criterion.groups(evaluation, primary)
        worst = min(groups, key=lambda group: groups[group].value) if groups else ""
        where = f" (“{worst}”)" if worst else ""
        average = metrics.get(criterion.accuracy)
        against = "" if average is None else f" against {percent(average)} overall"
        who = f"{'the classifier of ' if criterion is OWN else ''}“{evaluation.name}”"
        return f"{who} reaches {percent(metrics[criterion.worst])} on its worst group{where}{against}"

    ranked = sorted(evaluations, key=lambda each: each.tests[primary][criterion.worst].value)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    return f"{_begin(_where(evaluations, primary))}, {listed([clause(each) for each in shown])}{between}."


def _worst(evaluations: Sequence[Evaluation], primary: str, criterion: Criterion, *, images: bool) -> str:
    def behind(evaluation: Evaluation) -> bool:
        metrics = evaluation.tests[primary]
        average = metrics.get(criterion.accuracy)
        return average is not None and metrics[criterion.worst].high < average.low

    failing = [each for each in evaluations if behind(each)]
    even = [each for each in evaluations if not behind(each)]
    clauses = []
    if failing:
        clauses.append(f"the overall accuracy hides a lower one in the worst group of {_names(failing)}")
    if even:
        clauses.append(f"no group of {_names(even)} is shown to be worse than the others")
    unmeasured = " (backgrounds were not swapped, as the foregrounds of these data are not known)" if images else ""
    return f"So {'; '.join(clauses)}{unmeasured}."


def _accuracy(evaluations: Sequence[Evaluation], primary: str, criterion: Criterion) -> str:
    probed = [each for each in evaluations if criterion.accuracy in each.tests.get(primary, {})]
    if not probed:
        return f"No linear probe was evaluated {where_evaluated(primary)}."
    ranked = sorted(probed, key=lambda each: -each.tests[primary][criterion.accuracy].value)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    if criterion is FOUND:
        clauses = [f"{percent(each.tests[primary][criterion.accuracy])} for “{each.name}”" for each in shown]
        where = f"{_where(evaluations, primary)}, whose classes were not trained on"
        return f"{_begin(where)}, {criterion.measure} is {listed(clauses)}{between}."
    clauses = [f"{percent(each.tests[primary][criterion.accuracy])} on “{each.name}”" for each in shown]
    who = f"the {criterion.name}" if criterion is OWN else f"a {criterion.name}"
    return f"{_begin(_where(evaluations, primary))}, {who} reaches {listed(clauses)}{between}."


def _ahead(evaluations: Sequence[Evaluation], primary: str, criterion: Criterion, *, images: bool) -> str:
    unnamed = "neither foregrounds nor groups" if images else "no groups"
    if criterion is FOUND:
        unnamed = "no foregrounds" if images else "no backgrounds"
    reliance = f"reliance on the background was not measured, as these data name {unnamed}"
    probed = [each for each in evaluations if criterion.accuracy in each.tests.get(primary, {})]
    if len(probed) < 2:
        return f"{_begin(reliance)}."
    ranked = sorted(probed, key=lambda each: -each.tests[primary][criterion.accuracy].value)
    first, second = (each.tests[primary][criterion.accuracy] for each in ranked[:2])
    verdict = f"“{ranked[0].name}” is ahead" if first.low > second.high else "the intervals of the best two overlap"
    return f"So {verdict}; {reliance}."


def _where(evaluations: Sequence[Evaluation], primary: str) -> str:
    return where_evaluated(primary, folds=evaluations[0].settings.get("folds"))


def _begin(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"


def _names(evaluations: Sequence[Evaluation]) -> str:
    shown = [f"“{each.name}”" for each in evaluations]
    if len(shown) > NAMED:
        return f"{len(shown)} encoders ({listed([*shown[: NAMED - 1], f'{len(shown) - NAMED + 1} more'])})"
    return listed(shown)


def _verb(evaluations: Sequence[Evaluation], one: str, several: str) -> str:
    return one if len(evaluations) == 1 else several
