from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.toy import source
from unconfound.evaluation import Embeddings
from unconfound.evaluation.adversarial import adversarial_figures, adversarial_share


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 8), st.booleans())
def test_a_foreground_is_robust_where_no_background_of_another_class_fools(seed, backgrounds, foregrounds, own) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (foregrounds,), generator=generator)
    right = torch.rand(backgrounds, foregrounds, generator=generator) < 0.7
    predictions = torch.where(right, labels, (labels + 1) % 3)
    classes = torch.randint(-1, 3, (backgrounds,), generator=generator)
    robust = tried = 0
    for j in range(foregrounds):
        others = [i for i in range(backgrounds) if own or classes[i] != labels[j]]
        if others:
            tried += 1
            robust += all(predictions[i, j] == labels[j] for i in others)
    given_classes = None if own else classes
    if tried == 0:
        with pytest.raises(ValueError, match="no foreground was tried"):
            adversarial_share(predictions, labels, background_classes=given_classes)
        return
    figure = adversarial_share(predictions, labels, background_classes=given_classes)
    assert (figure.value, figure.samples) == (pytest.approx(robust / tried), tried)
    if not own:
        each = classes[:, None].expand(-1, foregrounds)
        assert adversarial_share(predictions, labels, background_classes=each) == figure


def test_oracles_that_read_one_thing_only() -> None:
    labels, classes = torch.arange(9), torch.arange(9)
    foreground_only = labels.expand(9, 9)
    assert adversarial_share(foreground_only, labels, background_classes=classes).value == 1
    background_only = classes[:, None].expand(9, 9)
    assert adversarial_share(background_only, labels, background_classes=classes).value == 0
    # The own class's background counts for nothing, whether the answer there is right or wrong.
    one = adversarial_share(torch.tensor([[0], [0]]), torch.tensor([0]), background_classes=torch.tensor([0, 1]))
    assert one.value == 1
    wrong_on_own = torch.tensor([[1], [0]])
    assert adversarial_share(wrong_on_own, torch.tensor([0]), background_classes=torch.tensor([0, 1])).value == 1
    assert adversarial_share(wrong_on_own, torch.tensor([0]), background_classes=None).value == 0


def test_figures_embed_one_source_at_a_time() -> None:
    labels = torch.arange(6) % 3
    sources = {f"scene {scene}": source("a", labels, labels, torch.full((6,), scene)) for scene in range(3)}
    for scene, each in enumerate(sources.values()):
        each.scenes = torch.full((6,), scene)
    seen: list[str] = []

    def embed(each):
        seen.append(each.name)
        return Embeddings(torch.stack([each.labels, each.scenes], 1).float(), torch.arange(6), each.labels)

    judges = {"foreground": lambda e: e.features[:, 0].long(), "background": lambda e: e.features[:, 1].long()}
    figures = adversarial_figures(sources, embed=embed, predictors=judges)
    assert {name: figure.value for name, figure in figures.items()} == {"foreground": 1, "background": 0}
    assert len(seen) == 3
    assert adversarial_figures({}, embed=embed, predictors=judges) == {}
    part = torch.tensor([0, -1, 2, 0, -1, 2])
    for each in sources.values():
        each.labels = part
    assert adversarial_figures(sources, embed=embed, predictors=judges)["foreground"].samples == 4
    sources["scene 1"].labels = labels.flip(0)
    with pytest.raises(ValueError, match="scene 1 holds other foregrounds"):
        adversarial_figures(sources, embed=embed, predictors=judges)
    sources["scene 0"].scenes = None
    with pytest.raises(ValueError, match="scene 0 has no labels or no scenes"):
        adversarial_figures(sources, embed=embed, predictors=judges)


def test_bad_shapes_are_refused() -> None:
    labels = torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\[backgrounds, 3 foregrounds\], got shape \(2, 4\)"):
        adversarial_share(torch.zeros(2, 4).long(), labels, background_classes=None)
    with pytest.raises(ValueError, match="background_classes must be one a background"):
        adversarial_share(torch.zeros(2, 3).long(), labels, background_classes=torch.zeros(3).long())
