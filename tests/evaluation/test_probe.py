from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from unconfound.evaluation import Embeddings, fit_probe
from unconfound.evaluation.probe import stratified_split


def clouds(samples: int = 300, classes: int = 3, *, spread: float = 1.0, seed: int = 0) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    centres = 4 * torch.eye(classes, 5)
    features = centres[labels] + spread * torch.randn(samples, 5, generator=generator)
    # Features of very different scale and offset: standardising must undo them.
    features = features * torch.tensor([1.0, 100.0, 0.01, 1.0, 1.0]) + torch.tensor([0.0, 500.0, 0.0, -7.0, 1.0])
    return Embeddings(features, torch.arange(samples), labels)


def accuracy(probe, embeddings: Embeddings) -> float:
    return float((probe.predict(embeddings) == embeddings.labels).double().mean())


def test_separable_classes_are_told_apart_on_new_samples() -> None:
    probe = fit_probe(clouds(spread=0.3))
    assert accuracy(probe, clouds(spread=0.3, seed=1)) == 1
    assert probe.notes == ()


def test_random_labels_are_predicted_by_chance_on_samples_that_were_held_out() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(600, 200, generator=generator)
    labels = torch.randint(0, 3, (600,), generator=generator)
    # So many features that the fitted samples are predicted far above chance: a leak would show.
    probe = fit_probe(Embeddings(features, torch.arange(600), labels), strengths=[1e-4, 1e-5])
    assert probe.validation_accuracy == pytest.approx(1 / 3, abs=0.12)
    assert accuracy(probe, Embeddings(features, torch.arange(600), labels)) > 0.6


@pytest.mark.parametrize(("strength", "labels"), [(0.3, [0, 1, 2]), (1e-3, [2, 5, 9]), (0.1, [0, 1])])
def test_solution_has_no_gradient(strength: float, labels: list[int]) -> None:
    data = clouds(classes=len(labels), spread=2.0)
    data = Embeddings(data.features, data.index, torch.tensor(labels)[data.labels])
    probe = fit_probe(data, strengths=[strength], tolerance=1e-7)
    standard = (data.features.double() - data.features.double().mean(0)) / data.features.double().std(0, correction=0)
    weights, bias = probe.weights.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    positions = torch.searchsorted(torch.tensor(labels), data.labels)
    loss = F.cross_entropy(standard @ weights.T + bias, positions) + strength / 2 * weights.square().sum()
    loss.backward()
    assert weights.grad.abs().max() < 1e-6
    assert bias.grad.abs().max() < 1e-6
    assert probe.classes.tolist() == labels
    assert probe.validation_accuracy is None


def test_default_tolerance_is_enough_for_the_same_predictions() -> None:
    data, test = clouds(spread=2.0), clouds(3000, spread=2.0, seed=1)
    usual, exact = (fit_probe(data, strengths=[1e-3], tolerance=tolerance) for tolerance in (1e-5, 1e-8))
    assert (usual.predict(test) == exact.predict(test)).double().mean() > 0.999


def test_regularisation_is_chosen_on_held_out_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    noise = torch.randn(200, 150, generator=generator)
    noise[:, 0] += 1.5 * labels
    # Many useless features and few samples: weak regularisation overfits, as the training set alone cannot tell.
    probe = fit_probe(Embeddings(noise, torch.arange(200), labels), strengths=[1e-6, 1.0])
    assert probe.strength == 1.0
    assert 0.5 < probe.validation_accuracy < 1


def test_a_loose_search_over_many_samples_chooses_well_and_ends_exactly(monkeypatch) -> None:
    data, test = clouds(1500, spread=3.0), clouds(3000, spread=3.0, seed=1)
    strict = fit_probe(data)
    monkeypatch.setattr("unconfound.evaluation.probe.MANY_SAMPLES", 1000)
    loose = fit_probe(data)
    assert accuracy(loose, test) == pytest.approx(accuracy(strict, test), abs=0.01)
    exact = fit_probe(data, strengths=[loose.strength])
    torch.testing.assert_close(loose.weights, exact.weights, atol=1e-3, rtol=0)


def test_result_depends_on_the_seed_alone() -> None:
    first, second = fit_probe(clouds(), seed=3), fit_probe(clouds(), seed=3)
    assert torch.equal(first.weights, second.weights)
    assert first.strength == second.strength


def test_unlabelled_samples_are_left_out() -> None:
    data = clouds()
    unknown = Embeddings(
        torch.cat([data.features, 1e4 * torch.ones(50, 5)]),
        torch.arange(350),
        torch.cat([data.labels, torch.full((50,), -1)]),
    )
    assert torch.equal(fit_probe(unknown).weights, fit_probe(data).weights)


def test_a_constant_feature_does_no_harm() -> None:
    data = clouds(spread=0.3)
    constant = Embeddings(torch.cat([data.features, torch.full((300, 1), 0.1)], dim=1), data.index, data.labels)
    probe = fit_probe(constant)
    assert accuracy(probe, constant) == 1
    assert probe.scale[-1] == 1
    assert probe.weights.isfinite().all()


def test_split_holds_out_a_share_of_each_class_but_never_all() -> None:
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    held_out = stratified_split(labels, share=0.2, seed=0)
    assert [int(held_out[labels == label].sum()) for label in range(4)] == [10, 2, 1, 0]
    assert not torch.equal(held_out, stratified_split(labels, share=0.2, seed=1))


def test_a_class_of_one_sample_is_learnt() -> None:
    data = clouds(spread=0.3)
    lone = Embeddings(
        torch.cat([data.features, 1e3 * torch.ones(1, 5)]),
        torch.arange(301),
        torch.cat([data.labels, torch.tensor([7])]),
    )
    probe = fit_probe(lone)
    assert probe.classes.tolist() == [0, 1, 2, 7]
    assert accuracy(probe, lone) == 1


def test_without_held_out_samples_the_strongest_is_taken_and_said() -> None:
    data = clouds(3)
    probe = fit_probe(data, strengths=[0.1, 0.5])
    assert probe.strength == 0.5
    assert "strongest, 0.5, is used" in probe.notes[0]


def test_a_solve_that_does_not_converge_is_said() -> None:
    probe = fit_probe(clouds(spread=3.0), strengths=[1e-6], tolerance=1e-12, iterations=3)
    assert "did not converge in 3 iterations at strength 1e-06" in probe.notes[0]


def test_bad_input_is_refused() -> None:
    data = clouds()
    one = Embeddings(data.features, data.index, torch.zeros(300, dtype=torch.int64))
    with pytest.raises(ValueError, match="all 300 labelled samples are of class 0"):
        fit_probe(one)
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        fit_probe(Embeddings(data.features, data.index))
    with pytest.raises(ValueError, match=r"strengths \(0.1, -1\)"):
        fit_probe(data, strengths=[0.1, -1])
    with pytest.raises(ValueError, match=r"validation share 1.0"):
        fit_probe(data, validation_share=1.0)
    with pytest.raises(ValueError, match="have 2 features, but the probe was fitted on 5"):
        fit_probe(data).predict(Embeddings(data.features[:, :2], data.index))
