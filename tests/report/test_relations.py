from __future__ import annotations

import pytest
import torch

from unconfound.evaluation.agreement import adjusted_rand, ranked_higher
from unconfound.evaluation.partitions import Partition, relate
from unconfound.report.relations import verdict

SAMPLES = 400
EASY = Partition("margin", ("high margin", "low margin"), torch.arange(SAMPLES) % 2)
SCENE = Partition("scene", ("water", "land"), torch.arange(SAMPLES) // 2 % 2, background=True)
CLASS = Partition("class", ("a", "b", "c", "d"), torch.arange(SAMPLES) // 4 % 4)


def _weights(held, *, environments=2):
    noise = torch.rand(SAMPLES, environments, generator=torch.Generator().manual_seed(0)).double()
    return torch.softmax(8 * torch.nn.functional.one_hot(held, environments) + noise, 1)


def _said(held, *partitions, environments=2):
    weights = _weights(held, environments=environments)
    return "".join(verdict([relate(partition, weights, held) for partition in partitions]))


def test_a_relation_has_the_index_and_the_environment_that_leans_most():
    held = torch.where(torch.arange(SAMPLES) % 20 == 0, 2, EASY.of)
    weights = _weights(held, environments=3)
    relation = relate(EASY, weights, held)
    assert relation.rand == adjusted_rand(held, EASY.of)
    assert relation.decisive == 1
    assert relation.area == ranked_higher(weights[:, 1], EASY.of == 1)
    assert relation.strength == pytest.approx(2 * relation.area.value - 1)
    assert relation.follows
    assert relate(CLASS, weights, held).area is None
    assert not relate(CLASS, weights, held).follows


def test_samples_of_which_nothing_is_known_are_left_out():
    held = torch.arange(SAMPLES) % 3 % 2
    unknown = torch.where(torch.arange(SAMPLES) < 100, -1, EASY.of)
    relation = relate(Partition("margin", EASY.names, unknown), _weights(held), held)
    assert relation.rand == adjusted_rand(held[100:], EASY.of[100:])
    assert relation.area.samples == 300


def test_whole_classes_are_followed_as_far_as_an_index_can_say():
    held = CLASS.of // 2
    relation = relate(CLASS, _weights(held), held)
    assert relation.strength == pytest.approx(1)
    assert relation.rand.value < 0.6


def test_hard_against_easy_is_said_plainly():
    said = _said(EASY.of, CLASS, SCENE, EASY)
    assert said.startswith(
        "Environment 1 contains the samples of low margin (AUC 1.00): hard against easy, not background ("
    )
    assert "adjusted Rand index -0.00 of at most 1.00" in said
    assert _said(1 - EASY.of, SCENE, EASY).startswith("Environment 0 contains")


def test_less_of_it_is_called_less():
    held = torch.where(torch.rand(SAMPLES, generator=torch.Generator().manual_seed(1)) < 0.6, 0, EASY.of)
    assert _said(held, SCENE, EASY).startswith("Environment 1 tends to contain the samples of low margin (AUC 0.69)")


@pytest.mark.parametrize(
    ("held", "partitions", "parts"),
    [
        (SCENE.of, (CLASS, SCENE, EASY), ["follow scene (adjusted Rand index 1.00", "and not how hard", " or class ("]),
        (
            CLASS.of // 2,
            (CLASS, Partition("scene", SCENE.names, CLASS.of // 2, background=True), EASY),
            ["follow class (", " and scene (", "Which of the two they follow is open."],
        ),
        (
            EASY.of,
            (Partition("scene", SCENE.names, EASY.of, background=True), EASY),
            ["but environments follow scene ("],
        ),
        (EASY.of, (CLASS, EASY), ["hard against easy. Their relation to the background is unknown"]),
        (
            torch.arange(SAMPLES) // 16 % 2,
            (CLASS, SCENE, EASY),
            ["follow neither how hard samples are (AUC 0.5", " nor class (", " nor background ("],
        ),
        (torch.arange(SAMPLES) // 16 % 2, (CLASS, EASY), [" nor class (", "these data name no scenes or groups."]),
        (SCENE.of, (SCENE,), [""]),
    ],
)
def test_what_they_follow_is_told_apart(held, partitions, parts):
    said = _said(held, *partitions)
    assert [part for part in parts if part not in said] == []
    assert bool(said) == bool(parts[0])
