from __future__ import annotations

import pytest
import torch

from unconfound.evaluation import Embeddings, fit_probe
from unconfound.evaluation.background import background_gap, train_test_cells


def answers(labels: list[int], features: torch.Tensor | None = None) -> Embeddings:
    given = torch.zeros(len(labels), 1) if features is None else features
    return Embeddings(given, torch.arange(len(labels)), torch.tensor(labels))


def test_gap_is_the_difference_of_accuracies_over_labelled_samples() -> None:
    same = rand = answers([0, 1, 2, -1])
    gap = background_gap(
        same,
        rand,
        same_predictions=torch.tensor([0, 1, 0, 5]),
        rand_predictions=torch.tensor([1, 1, 1, -1]),
    )
    assert gap.value == pytest.approx(1 / 3)
    assert gap.samples == 3
    assert gap.low < 1 / 3 < gap.high


def test_gap_is_smaller_in_spread_where_the_same_samples_are_wrong() -> None:
    labels = [0] * 100
    wrong = torch.arange(100) < 40
    shifted = torch.arange(100) >= 60
    paired = background_gap(
        answers(labels), answers(labels), same_predictions=wrong.long(), rand_predictions=wrong.long()
    )
    unpaired = background_gap(
        answers(labels), answers(labels), same_predictions=wrong.long(), rand_predictions=shifted.long()
    )
    assert paired.value == unpaired.value == 0
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 3


def test_gap_needs_the_same_samples() -> None:
    predictions = {"same_predictions": torch.zeros(2).long(), "rand_predictions": torch.zeros(2).long()}
    with pytest.raises(ValueError, match="2 samples of mixed-same and the 3 of mixed-rand must be the same"):
        background_gap(answers([0, 1]), answers([0, 1, 1]), **predictions)
    with pytest.raises(ValueError, match="same labelled foregrounds in the same order"):
        background_gap(answers([0, 1]), answers([1, 0]), **predictions)
    unlabelled = Embeddings(torch.zeros(2, 1), torch.arange(2))
    with pytest.raises(ValueError, match="same labelled foregrounds"):
        background_gap(unlabelled, unlabelled, **predictions)


def test_cells_show_what_each_probe_reads() -> None:
    labels = torch.arange(200) % 2
    signal = (2.0 * labels - 1)[:, None]
    noise = 0.1 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    # The first feature is the background, turned around in foreground images; the second shows in those alone.
    noise_of_full = noise * torch.tensor([1.0, 0.0])
    full = answers(labels.tolist(), torch.cat([signal, 0 * signal], dim=1) + noise_of_full)
    foreground = answers(labels.tolist(), torch.cat([-signal, signal], dim=1) + noise)
    probes = {"full": fit_probe(full, strengths=[1.0]), "foreground": fit_probe(foreground, strengths=[1.0])}
    cells = train_test_cells(probes, {"full": full, "foreground": foreground})
    assert list(cells) == ["full/full", "full/foreground", "foreground/full", "foreground/foreground"]
    assert cells["full/full"].value == cells["foreground/foreground"].value == 1
    assert cells["full/foreground"].value < 0.1
    for key, (fitted, tested) in {
        "full/foreground": ("full", foreground),
        "foreground/full": ("foreground", full),
    }.items():
        expected = (probes[fitted].predict(tested) == labels).double().mean()
        assert cells[key].value == pytest.approx(float(expected))
