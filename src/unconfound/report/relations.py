"""What the agreement of environments with known partitions of the samples says about them, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from unconfound.evaluation.partitions import Relation

HOLDS = 0.75  # area under the curve from which an environment "contains" the hard samples, instead of tending to


def verdict(relations: Sequence[Relation]) -> list[str]:
    """Say whether environments are hard against easy samples, classes or backgrounds.

    The case that can be solved says to expect the first: of two environments with one multiplier for all scores, and
    sums over all samples, the best partition is by the sign of each sample's gradient, whatever the backgrounds are.

    Args:
        relations: of which that with the margin decides on hard and easy.

    Returns:
        One sentence or none.
    """
    hard = next((each for each in relations if each.partition.title == "margin"), None)
    if hard is None or hard.area is None:
        return []
    verb = "contains" if hard.area.value >= HOLDS else "tends to contain"
    easy = f"Environment {hard.decisive} {verb} the samples of low margin (AUC {hard.area.value:.2f})"
    kind = next((each for each in relations if each.partition.title == "class"), None)
    back = max((each for each in relations if each.partition.background), key=lambda each: each.strength, default=None)
    others = [each for each in (kind, back) if each is not None]
    followed = [each for each in others if each.follows]
    names = " and ".join(f"{each.partition.title} ({_measured(each)})" for each in followed)
    unknown = "" if back else " Their relation to the background is unknown: these data name no scenes or groups."
    if not hard.follows:
        unheeded = [f"how hard samples are (AUC {hard.area.value:.2f})"]
        unheeded += [f"{_whose(each)} ({_measured(each)})" for each in others if not each.follows]
        if not followed:
            return [f"Environments follow neither {' nor '.join(unheeded)}.{unknown}"]
        apart = " Which of the two they follow is open." if len(followed) > 1 else ""
        return [f"Environments follow {names}, and not {' or '.join(unheeded)}.{apart}{unknown}"]
    if followed:
        return [f"{easy}, but environments follow {names} too: which of these they follow is open.{unknown}"]
    other = f", not background ({_measured(back)} with {back.partition.title})" if back else ""
    return [f"{easy}: hard against easy{other}.{unknown}"]


def _whose(relation: Relation) -> str:
    return "background" if relation.partition.background else relation.partition.title


def _measured(relation: Relation) -> str:
    area = "" if relation.area is None else f", AUC {relation.area.value:.2f}"
    return f"adjusted Rand index {relation.rand.value:.2f} of at most {relation.rand.most:.2f}{area}"
