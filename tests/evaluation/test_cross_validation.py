from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from unconfound.evaluation import (
    CrossValidation,
    Embeddings,
    cross_validate_adam_probe,
    cross_validate_knn,
    cross_validate_probe,
    cross_validate_svm,
)
from unconfound.evaluation.folds import neighbouring_pairs, stratified_folds

ALL = (cross_validate_probe, cross_validate_adam_probe, cross_validate_knn, cross_validate_svm)


def clouds(
    samples: int = 120, classes: int = 3, *, features: int = 12, spread: float = 2.0, seed: int = 0
) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    values = 2 * torch.eye(classes, features)[labels] + spread * torch.randn(samples, features, generator=generator)
    # Features of very different scale and offset, heavy tails, and one that is constant.
    values = values * torch.logspace(-2, 2, features) + 5 * torch.arange(features)
    values[:, -2] = values[:, -2].sign() * values[:, -2].square()
    values[:, -1] = 0.1
    return Embeddings(values, torch.arange(samples), labels)


def tame(data: Embeddings) -> Embeddings:
    """Features of deviation 1 around 0, of which nearest neighbours and a few steps of Adam make something."""
    scaled = (data.features - data.features.mean(0)) / data.features.std(0).clamp_min(1e-3)
    return Embeddings(scaled, data.index, data.labels)


def relabelled(data: Embeddings, labels: torch.Tensor) -> Embeddings:
    return Embeddings(data.features, data.index, labels)


def test_probe_is_that_of_scikit_learn_in_every_fold() -> None:
    data = clouds(spread=1.0)
    values, labels = data.features.double().numpy(), data.labels.numpy()
    result = cross_validate_probe(data, folds=4, repeats=2, seed=3, strengths=[1e-2], tolerance=1e-8)
    assignment = stratified_folds(data.labels, folds=4, repeats=2, seed=3).numpy()
    for repeat in range(2):
        for fold in range(4):
            test = assignment[repeat] == fold
            standard = StandardScaler().fit(values[~test])
            reference = LogisticRegression(C=1 / (1e-2 * (~test).sum()), tol=1e-9, max_iter=10_000)
            reference.fit(standard.transform(values[~test]), labels[~test])
            expected = reference.predict(standard.transform(values[test]))
            assert result.predictions[repeat, test].tolist() == expected.tolist()
            assert float(result.accuracies[repeat, fold]) == pytest.approx((expected == labels[test]).mean())


def test_strength_is_chosen_as_scikit_learn_would_on_the_neighbouring_folds(monkeypatch) -> None:
    monkeypatch.setattr("unconfound.evaluation.cross_validation._SEARCH_TOLERANCE", 1e-7)
    monkeypatch.setattr("unconfound.evaluation.cross_validation._SEARCH_ITERATIONS", 10_000)
    data = clouds(samples=90, features=16, spread=1.5)
    values, labels = data.features.double().numpy(), data.labels.numpy()
    strengths = [1.0, 1e-3]
    result = cross_validate_probe(data, folds=5, repeats=1, seed=1, strengths=strengths, tolerance=1e-7)
    assignment = stratified_folds(data.labels, folds=5, repeats=1, seed=1).numpy()[0]
    hits = np.zeros((2, 5))
    for pair in neighbouring_pairs(5):
        train = ~np.isin(assignment, pair)
        standard = StandardScaler().fit(values[train])
        for candidate, strength in enumerate(strengths):
            reference = LogisticRegression(C=1 / (strength * train.sum()), tol=1e-8, max_iter=10_000)
            reference.fit(standard.transform(values[train]), labels[train])
            right = reference.predict(standard.transform(values)) == labels
            for test, validation in (pair, pair[::-1]):
                hits[candidate, test] += right[assignment == validation].sum()
    # The stronger of equals.
    assert result.chosen[0].tolist() == np.where(hits[0] >= hits[1], *strengths).tolist()
    assert len(np.unique(result.chosen)) == 2


@pytest.mark.parametrize("judge", [cross_validate_probe, cross_validate_svm])
def test_labels_of_a_test_fold_do_not_reach_its_classifier(judge, monkeypatch) -> None:
    data = clouds(spread=1.0)
    assignment = stratified_folds(data.labels, folds=5, repeats=1)
    before = judge(data, folds=5, repeats=1)
    test = assignment[0] == 2
    # The same count of each class, so that the assignment to folds stays; every label of the fold is wrong.
    generator = torch.Generator().manual_seed(0)
    shuffled = data.labels.clone()
    shuffled[test] = data.labels[test][torch.randperm(int(test.sum()), generator=generator)]
    assert not torch.equal(shuffled, data.labels)
    monkeypatch.setattr("unconfound.evaluation.folds.stratified_folds", lambda *_, **__: assignment)
    after = judge(relabelled(data, shuffled), folds=5, repeats=1)
    assert before.chosen[0, 2] == after.chosen[0, 2]
    assert torch.equal(before.predictions[0, test], after.predictions[0, test])
    assert not torch.equal(before.predictions, after.predictions)


@pytest.mark.parametrize("judge", ALL)
def test_shuffled_labels_are_predicted_by_chance(judge) -> None:
    generator = torch.Generator().manual_seed(1)
    data = clouds(samples=240, features=60, spread=0.3)
    data = relabelled(data, data.labels[torch.randperm(240, generator=generator)])
    result = judge(data, folds=5, repeats=1)
    assert result.accuracies.mean() == pytest.approx(1 / 3, abs=0.1)
    assert result.figure().low < 1 / 3 < result.figure().high


@pytest.mark.parametrize("judge", ALL)
def test_separable_classes_are_told_apart(judge) -> None:
    data = tame(clouds(spread=0.05, features=4))
    data = relabelled(data, 3 * data.labels + 1)
    result = judge(data, folds=4, repeats=2)
    assert result.accuracies.shape == (2, 4)
    assert result.accuracies.min() > 0.9
    assert result.predictions.unique().tolist() == [1, 4, 7]
    assert result.notes == ()


@pytest.mark.parametrize("judge", ALL)
def test_unlabelled_samples_are_left_out(judge) -> None:
    data = clouds()
    more = Embeddings(
        torch.cat([torch.full((9, 12), 1e4), data.features]),
        torch.arange(129),
        torch.cat([torch.full((9,), -1), data.labels]),
    )
    first, second = judge(data, folds=4, repeats=1), judge(more, folds=4, repeats=1)
    assert torch.equal(first.predictions, second.predictions)


def test_scale_and_offset_of_features_do_not_matter_to_probe_and_svm() -> None:
    data = clouds(spread=1.0)
    other = Embeddings(8 * data.features - 16, data.index, data.labels)
    for judge in (cross_validate_probe, cross_validate_svm):
        first, second = judge(data, folds=4, repeats=1), judge(other, folds=4, repeats=1)
        assert (first.predictions == second.predictions).double().mean() > 0.98


def test_a_class_that_training_folds_lack_counts_as_wrong() -> None:
    data = clouds(spread=0.1)
    labels = data.labels.clone()
    labels[5] = 9
    for judge in ALL:
        result = judge(relabelled(data, labels), folds=4, repeats=1)
        assert result.predictions[0, 5] != 9
        assert "class 9 has 1 samples, fewer than there are folds (4)" in result.notes[0]


def test_many_fits_are_solved_in_turns_with_the_same_result(monkeypatch) -> None:
    data = clouds()
    whole = cross_validate_probe(data, folds=4, repeats=1)
    monkeypatch.setattr("unconfound.evaluation.cross_validation._NUMBERS", 3 * 3 * 120)
    assert torch.equal(cross_validate_probe(data, folds=4, repeats=1).accuracies, whole.accuracies)


def test_probes_that_did_not_converge_are_counted() -> None:
    result = cross_validate_probe(clouds(), folds=4, repeats=1, strengths=[1e-4], tolerance=1e-9, iterations=3)
    assert result.notes == (
        "4 of 4 linear probes of the cross-validation did not converge in 3 iterations; their accuracy may be too low",
    )


def test_adam_probe_is_infographs() -> None:
    data = tame(clouds(samples=60))
    result = cross_validate_adam_probe(data, folds=3, repeats=1, seed=5)
    fold = stratified_folds(data.labels, folds=3, repeats=1, seed=5)[0]
    bound = (6 / 15) ** 0.5
    weights = bound * (2 * torch.rand(3, 3, 12, generator=torch.Generator().manual_seed(5)) - 1)
    for test in range(3):
        linear = torch.nn.Linear(12, 3)
        with torch.no_grad():
            linear.weight.copy_(weights[test])
            linear.bias.zero_()
        optimizer = torch.optim.Adam(linear.parameters(), lr=0.01, weight_decay=0.0)
        inside = fold != test
        for _ in range(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(linear(data.features[inside]), data.labels[inside]).backward()
            optimizer.step()
        expected = linear(data.features[~inside]).argmax(1)
        assert torch.equal(result.predictions[0, ~inside], expected)


def test_adam_probe_standardises_by_the_training_folds() -> None:
    data = clouds(spread=0.3)
    scaled = Embeddings(100 * data.features + 7, data.index, data.labels)
    first, second = (cross_validate_adam_probe(each, folds=4, repeats=1, standardise=True) for each in (data, scaled))
    assert (first.predictions == second.predictions).double().mean() > 0.95
    assert first.accuracies.mean() > cross_validate_adam_probe(data, folds=4, repeats=1).accuracies.mean()


@pytest.mark.parametrize("standardise", [True, False])
def test_svm_is_that_of_scikit_learn_in_every_fold(standardise: bool) -> None:
    data = clouds(samples=90)
    values, labels = data.features.double().numpy(), data.labels.numpy()
    result = cross_validate_svm(data, folds=3, repeats=1, costs=[1.0], standardise=standardise)
    if standardise:
        values = StandardScaler().fit_transform(values[:, :-1])
        values = np.hstack([values, np.zeros((90, 1))])
    fold = stratified_folds(data.labels, folds=3, repeats=1).numpy()[0]
    for test in range(3):
        reference = SVC(C=1.0).fit(values[fold != test], labels[fold != test])
        assert result.predictions[0, fold == test].tolist() == reference.predict(values[fold == test]).tolist()


def test_knn_is_that_of_scikit_learn_in_every_fold() -> None:
    data = clouds(samples=90)
    result = cross_validate_knn(data, neighbours=1, folds=3, repeats=1)
    fold = stratified_folds(data.labels, folds=3, repeats=1)[0]
    for test in range(3):
        inside = fold != test
        reference = KNeighborsClassifier(1).fit(data.features[inside].numpy(), data.labels[inside].numpy())
        expected = reference.predict(data.features[~inside].numpy())
        assert result.predictions[0, ~inside].tolist() == expected.tolist()


def test_figure_has_the_corrected_interval_of_repeated_cross_validation() -> None:
    accuracies = torch.tensor([[0.5, 0.7, 0.9], [0.6, 0.6, 1.0]], dtype=torch.float64)
    figure = CrossValidation(accuracies, torch.zeros(2, 10_000, dtype=torch.int64)).figure()
    half = stats.t.ppf(0.975, 5) * (accuracies.numpy().var(ddof=1) * (1 / 6 + 1 / 2)) ** 0.5
    mean = float(accuracies.mean())
    assert (figure.value, figure.low, figure.high) == pytest.approx((mean, mean - half, min(1, mean + half)))
    assert figure.samples == 10_000


def test_interval_of_equal_folds_is_that_of_one_test_of_all_samples() -> None:
    figure = CrossValidation(torch.ones(5, 10), torch.zeros(5, 20, dtype=torch.int64)).figure()
    square = 1.959964**2
    assert (figure.value, figure.low, figure.high) == pytest.approx((1, 20 / (20 + square), 1))


@pytest.mark.parametrize("judge", ALL)
def test_bad_input_is_refused(judge) -> None:
    data = clouds()
    with pytest.raises(ValueError, match="all 120 labelled samples are of class 0"):
        judge(relabelled(data, torch.zeros(120, dtype=torch.int64)))
    with pytest.raises(ValueError, match="none of the embeddings carries a label"):
        judge(Embeddings(data.features, data.index))
    with pytest.raises(ValueError, match="121 folds of 120"):
        judge(data, folds=121)
    with pytest.raises(ValueError, match="120 of 120 embeddings are not finite"):
        judge(Embeddings(data.features / 0, data.index, data.labels))


def test_hyper_parameters_must_make_sense() -> None:
    with pytest.raises(ValueError, match=r"strengths \(0.1, -1\)"):
        cross_validate_probe(clouds(), strengths=[0.1, -1])
    with pytest.raises(ValueError, match=r"costs \(\)"):
        cross_validate_svm(clouds(), costs=[])
    for judge in (cross_validate_probe, cross_validate_svm):
        with pytest.raises(ValueError, match="2 folds leave none to choose"):
            judge(clouds(), folds=2)
    assert cross_validate_probe(clouds(), folds=2, repeats=1, strengths=[0.1]).chosen.tolist() == [[0.1, 0.1]]


def test_threads_started_later_compute_with_as_many_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cross_validate_probe(clouds(samples=40, features=4), folds=4, repeats=1, strengths=[1.0])
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
