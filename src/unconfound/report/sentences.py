"""What the figures mean, in two plain sentences that say no more than the intervals allow."""

from __future__ import annotations

from collections.abc import Sequence

from unconfound.evaluation.figures import Evaluation, Figure
from unconfound.report.judged import judgement

NAMED = 4  # more encoders than this in one sentence are a list nobody reads


def sentences(evaluations: Sequence[Evaluation], *, classes: int, primary: str, images: bool = True) -> tuple[str, str]:
    """Say what was measured, and what it means.

    Args:
        evaluations: of one data set; at least one.
        classes: how many classes there are, for the accuracy of chance.
        primary: the test set like the training data, or "cross-validation".
        images: the samples have backgrounds, which could have been swapped.

    Returns:
        Two sentences. A difference whose interval holds 0 is not called one.
    """
    measured = [each for each in evaluations if "background_gap" in each.background]
    if measured:
        return _loss(measured), _reliance(measured, classes)
    grouped = [each for each in evaluations if "worst_group" in each.tests.get(primary, {})]
    if grouped:
        return _groups(grouped, primary), _worst(grouped, primary, images=images)
    return _accuracy(evaluations, primary), _ahead(evaluations, primary, images=images)


def points(figure: Figure) -> str:
    """Write a difference of shares in percentage points, with its interval."""
    return f"{100 * figure.value:.1f} points [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def percent(figure: Figure) -> str:
    """Write a share in percent, with its interval."""
    return f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _loss(evaluations: Sequence[Evaluation]) -> str:
    def clause(evaluation: Evaluation, before: Evaluation | None) -> str:
        gap, name = _gap(evaluation), evaluation.name
        if gap.value >= 0:
            return f"{'' if before else 'falls '}by {points(gap)} for “{name}”"
        gain = Figure(-gap.value, -gap.high, -gap.low, gap.samples)
        return f"{'' if before and _gap(before).value < 0 else 'rises '}by {points(gain)} for “{name}”"

    ranked = _most_first(evaluations)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    clauses = [clause(each, before) for each, before in zip(shown, [None, *shown], strict=False)]
    return (
        "When test images stand on random backgrounds instead of backgrounds of their own class, the accuracy of the "
        f"linear probe {_listed(clauses)}{between}."
    )


def _between(count: int) -> str:
    return f" (the other {count - 2} lie in between)"


def _reliance(evaluations: Sequence[Evaluation], classes: int) -> str:
    blind = [each for each in evaluations if _at_chance(each, classes)]
    rest = _most_first([each for each in evaluations if each not in blind])
    leaning = [each for each in rest if _gap(each).low > 0]
    gaining = [each for each in rest if _gap(each).high < 0]
    clear = [each for each in rest if each not in leaning and each not in gaining]
    clauses = []
    if leaning:
        clauses.append(f"{_names(leaning)} {_verb(leaning, 'leans', 'lean')} on the background")
    if clear:
        owner = "its interval holds" if len(clear) == 1 else "their intervals hold"
        clauses.append(f"no reliance could be shown for {_names(clear)} ({owner} 0)")
    if gaining:
        clauses.append(f"{_names(gaining)} {_verb(gaining, 'does', 'do')} better on random scenes")
    if blind:
        owner = "its gap says" if len(blind) == 1 else "their gaps say"
        clauses.append(f"{_names(blind)} {_verb(blind, 'is', 'are')} no better than chance, so {owner} nothing")
    if len(leaning) > 1:
        clauses.append(_compared(leaning))
    return f"So {'; '.join(clauses)}."


def _at_chance(evaluation: Evaluation, classes: int) -> bool:
    accuracy = evaluation.tests.get("mixed-same", {}).get("linear_probe")
    return accuracy is not None and classes > 0 and accuracy.low <= 1 / classes


def _compared(leaning: Sequence[Evaluation]) -> str:
    most, second, least = leaning[0], leaning[1], leaning[-1]
    if _gap(second).high < _gap(most).low:
        return f"“{most.name}” leans {'more' if len(leaning) == 2 else 'most'}"
    if _gap(least).high < _gap(most).low:
        return f"“{most.name}” leans more than “{least.name}”"
    return "their intervals overlap, so which of them leans most is not settled"


def _gap(evaluation: Evaluation) -> Figure:
    return evaluation.background["background_gap"]


def _most_first(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return sorted(evaluations, key=lambda each: -_gap(each).value)


def _groups(evaluations: Sequence[Evaluation], primary: str) -> str:
    def clause(evaluation: Evaluation) -> str:
        metrics, groups = evaluation.tests[primary], evaluation.groups.get(primary, {})
        worst = min(groups, key=lambda group: groups[group].value) if groups else ""
        where = f" (“{worst}”)" if worst else ""
        average = metrics.get("linear_probe") or metrics.get("average_group")
        against = "" if average is None else f" against {percent(average)} overall"
        return f"“{evaluation.name}” is right on {percent(metrics['worst_group'])} of its worst group{where}{against}"

    ranked = sorted(evaluations, key=lambda each: each.tests[primary]["worst_group"].value)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    return f"{_begin(_where(evaluations, primary))}, {_listed([clause(each) for each in shown])}{between}."


def _worst(evaluations: Sequence[Evaluation], primary: str, *, images: bool) -> str:
    def behind(evaluation: Evaluation) -> bool:
        metrics = evaluation.tests[primary]
        average = metrics.get("linear_probe") or metrics.get("average_group")
        return average is not None and metrics["worst_group"].high < average.low

    failing = [each for each in evaluations if behind(each)]
    even = [each for each in evaluations if not behind(each)]
    clauses = []
    if failing:
        clauses.append(f"what holds on average does not hold in the worst group of {_names(failing)}")
    if even:
        clauses.append(f"no group that {_names(even)} {_verb(even, 'fails', 'fail')} more than others could be shown")
    unmeasured = " (backgrounds were not swapped: the foregrounds of these data are not known)" if images else ""
    return f"So {'; '.join(clauses)}{unmeasured}."


def _accuracy(evaluations: Sequence[Evaluation], primary: str) -> str:
    probed = [each for each in evaluations if "linear_probe" in each.tests.get(primary, {})]
    if not probed:
        return f"No linear probe was judged {judgement(primary)}."
    ranked = sorted(probed, key=lambda each: -each.tests[primary]["linear_probe"].value)
    shown, between = (ranked, "") if len(ranked) <= NAMED else ([ranked[0], ranked[-1]], _between(len(ranked)))
    clauses = [f"{percent(each.tests[primary]['linear_probe'])} on “{each.name}”" for each in shown]
    return f"{_begin(_where(evaluations, primary))}, a linear probe is right on {_listed(clauses)}{between}."


def _ahead(evaluations: Sequence[Evaluation], primary: str, *, images: bool) -> str:
    unnamed = "neither foregrounds nor groups" if images else "no groups"
    reliance = f"how much it leans on surroundings was not measured, as these data name {unnamed}"
    probed = [each for each in evaluations if "linear_probe" in each.tests.get(primary, {})]
    if len(probed) < 2:
        return f"{_begin(reliance)}."
    ranked = sorted(probed, key=lambda each: -each.tests[primary]["linear_probe"].value)
    first, second = (each.tests[primary]["linear_probe"] for each in ranked[:2])
    verdict = f"“{ranked[0].name}” is ahead" if first.low > second.high else "the best two are not told apart"
    return f"So {verdict}; {reliance.replace('it leans', 'each leans')}."


def _where(evaluations: Sequence[Evaluation], primary: str) -> str:
    return judgement(primary, folds=evaluations[0].settings.get("folds"))


def _begin(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"


def _names(evaluations: Sequence[Evaluation]) -> str:
    shown = [f"“{each.name}”" for each in evaluations]
    if len(shown) > NAMED:
        return f"{len(shown)} encoders ({_listed([*shown[: NAMED - 1], f'{len(shown) - NAMED + 1} more'])})"
    return _listed(shown)


def _verb(evaluations: Sequence[Evaluation], one: str, several: str) -> str:
    return one if len(evaluations) == 1 else several


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
