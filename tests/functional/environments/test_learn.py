from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unconfound.functional.environments import objective as chunked
from unconfound.functional.environments import passes
from unconfound.functional.environments.learn import learn_environments
from unconfound.functional.environments.masks import mask_gradients
from unconfound.functional.environments.objective import environment_objective, shares_of, slopes_of, through_softmax
from unconfound.functional.environments.shares import entropy_slopes, raise_shares
from unconfound.functional.invariance import softmax_sample_scale_gradients

seeds = st.integers(0, 10**6)
normalizations = pytest.mark.parametrize("normalization", ["environment", "samples"])
# The hazard of the specification: one sample of large gradient among those that cancel.
HAZARD = torch.tensor([10.0, 1, 1, 1, -1, -1, -1], dtype=torch.float64)[:, None]


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


def _drawn(seed, samples=5, environments=2, width=3, *, shared=False):
    generator = _seeded(seed)
    shape = (samples, width) if shared else (samples, environments, width)
    vectors = torch.randn(shape, generator=generator, dtype=torch.float64)
    return vectors, torch.randn(samples, environments, generator=generator, dtype=torch.float64)


def _gradient(vectors, logits, normalization="environment"):
    """Of the objective by the logits, put together as an ascent does."""
    shares = shares_of(vectors, logits)
    return through_softmax(shares, slopes_of(vectors, shares, normalization)[1])


def _naive(vectors, weights, normalization):
    """The mean over environments of the squared length of the mean vector, for weights and not their logits."""
    samples, environments = len(weights), len(weights[0])
    total = 0.0
    for j in range(environments):
        own = [row if isinstance(row[0], float) else row[j] for row in vectors]
        size = sum(weight[j] for weight in weights) if normalization == "environment" else samples
        for k in range(len(own[0])):
            total += (sum(weight[j] * row[k] for weight, row in zip(weights, own, strict=True)) / size) ** 2
    return total / environments


@normalizations
@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_the_objective_and_its_gradient(normalization, seed, samples, environments, shared):
    vectors, logits = _drawn(seed, samples, environments, shared=shared)

    def naive(own):
        return _naive(vectors.tolist(), torch.softmax(own, 1).tolist(), normalization)

    found = environment_objective(vectors, logits, normalization=normalization)
    assert found.item() == pytest.approx(naive(logits))
    gradient = _gradient(vectors, logits, normalization)
    for place in product(range(samples), range(environments)):
        step = torch.zeros_like(logits)
        step[place] = 1e-5
        assert gradient[place].item() == pytest.approx((naive(logits + step) - naive(logits - step)) / 2e-5, abs=1e-8)
    assert gradient.sum(1).abs().max() < 1e-12


@normalizations
def test_chunks_and_half_precision_change_nothing(normalization, monkeypatch):
    for shared in (False, True):
        vectors, logits = _drawn(0, 11, shared=shared)
        whole = [each(vectors, logits, normalization=normalization) for each in (environment_objective, _gradient)]
        with monkeypatch.context() as small:
            small.setattr(chunked, "_CHUNK", 12)
            for each, expected in zip((environment_objective, _gradient), whole, strict=True):
                torch.testing.assert_close(each(vectors, logits, normalization=normalization), expected)
        half = _gradient(vectors.half(), logits.float(), normalization=normalization)
        assert half.dtype == torch.float32
        exact = _gradient(vectors.half().double(), logits.float().double(), normalization=normalization)
        torch.testing.assert_close(half.double(), exact, rtol=1e-4, atol=1e-6)


def test_environments_may_be_permuted_and_equal_ones_are_alike():
    vectors, logits = _drawn(1, environments=3)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        environment_objective(vectors[:, order], logits[:, order]), environment_objective(vectors, logits)
    )
    torch.testing.assert_close(_gradient(vectors[:, order], logits[:, order]), _gradient(vectors, logits)[:, order])
    shared, equal = vectors[:, 0], torch.zeros_like(logits)
    torch.testing.assert_close(environment_objective(shared, equal), shared.mean(0).square().sum())
    assert _gradient(shared, equal).abs().max() < 1e-12


def _splits(samples):
    """All splits into two parts that are not empty, as logits."""
    for first in product((0, 1), repeat=samples):
        if 0 < sum(first) < samples:
            yield 60.0 * torch.tensor([[one, 1 - one] for one in first], dtype=torch.float64)


@settings(deadline=None, max_examples=5)
@given(seeds, st.integers(2, 7))
def test_the_best_split_of_numbers_is_by_sign_where_all_samples_divide(seed, samples):
    vectors = torch.randn(samples, 1, generator=_seeded(seed), dtype=torch.float64)
    best = max(float(environment_objective(vectors, split, normalization="samples")) for split in _splits(samples))
    sign = 60 * torch.cat([vectors > 0, vectors <= 0], 1).double()
    assert best <= float(environment_objective(vectors, sign, normalization="samples")) + 1e-12
    learnt, _ = learn_environments(vectors, normalization="samples", solver="frank-wolfe", generator=_seeded(seed))
    assigned = learnt.argmax(1) == 0
    # The draw may start on a side from which all samples are drawn into one environment.
    if 0 < assigned.sum() < samples:
        positive = vectors[:, 0] > 0
        assert torch.equal(assigned, positive) or torch.equal(assigned, ~positive)


def test_dividing_by_the_size_rewards_a_sample_alone():
    """The numbers of the specification: sums over both environments, twice the objective."""
    alone = 60.0 * F.one_hot(torch.tensor([0, 1, 1, 1, 1, 1, 1])).double()
    sign = 60.0 * F.one_hot(torch.tensor([0, 0, 0, 0, 1, 1, 1])).double()
    values = {
        normalization: [
            2 * float(environment_objective(HAZARD, split, normalization=normalization)) for split in (alone, sign)
        ]
        for normalization in ("environment", "samples")
    }
    assert values["environment"] == pytest.approx([100, 11.5625])
    assert values["samples"] == pytest.approx([100 / 49, (13**2 + 3**2) / 49])
    best = max(_splits(7), key=lambda split: float(environment_objective(HAZARD, split)))
    assert best[0, 0] != best[1, 0]
    assert len(set(best[1:, 0].tolist())) == 1


def _sizes(logits):
    return torch.softmax(logits, 1).mean(0)


def test_guards_keep_environments_from_being_tiny():
    free, _ = learn_environments(HAZARD, steps=300, generator=_seeded(0))
    assert _sizes(free).min() < 0.2
    kept, history = learn_environments(HAZARD, steps=300, smallest_share=0.4, generator=_seeded(0))
    assert _sizes(kept).min() >= 0.4 * (1 - 1e-4)
    assert history.isfinite().all()
    broad, _ = learn_environments(HAZARD, steps=300, entropy_weight=30.0, generator=_seeded(0))
    assert _sizes(broad).min() > 0.4
    # A bonus in units of the vectors does not hang on their scale.
    scaled, _ = learn_environments(1000 * HAZARD, steps=300, entropy_weight=30.0, generator=_seeded(0))
    torch.testing.assert_close(_sizes(scaled), _sizes(broad), atol=1e-3, rtol=0)
    batched, _ = learn_environments(HAZARD, batch_size=2, passes=20, smallest_share=0.3, generator=_seeded(0))
    assert _sizes(batched).min() >= 0.3 * (1 - 1e-4)


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 30), st.integers(1, 4), st.floats(0, 1), st.floats(0.1, 20))
def test_shares_are_raised_to_the_nearest_weights(seed, samples, environments, part, spread):
    logits = spread * torch.randn(samples, environments, generator=_seeded(seed), dtype=torch.float64)
    smallest = part / environments
    raised = raise_shares(logits, smallest_share=smallest)
    shares = _sizes(raised)
    assert shares.min() >= smallest * (1 - 1e-5)
    shift = raised - logits
    # One number an environment, and only where the share is no larger than it has to be: the optimality conditions.
    torch.testing.assert_close(shift, shift[:1].expand_as(shift))
    assert shift.min() >= 0
    assert ((shift[0] < 1e-6) | (shares <= smallest * (1 + 1e-4))).all()
    if _sizes(logits).min() >= smallest:
        assert torch.equal(raised, logits)


def test_the_slopes_of_the_entropy():
    shares = torch.softmax(_drawn(3, 6, 3)[1], 1).requires_grad_()
    means = shares.mean(0)
    (expected,) = torch.autograd.grad(-(means * means.log()).sum(), shares)
    torch.testing.assert_close(entropy_slopes(shares.detach()).expand_as(shares), expected)
    assert entropy_slopes(torch.tensor([[1.0, 0.0]])).isfinite().all()


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 30), st.integers(1, 4), st.booleans())
def test_frank_wolfe_never_descends_and_ends_at_assignments(seed, samples, environments, shared):
    vectors, _ = _drawn(seed, samples, environments, shared=shared)
    logits, history = learn_environments(
        vectors, environments=environments, normalization="samples", solver="frank-wolfe", generator=_seeded(seed)
    )
    assert (history.diff() >= -1e-12).all()
    weights = torch.softmax(logits, 1)
    assert weights.max(1).values.min() > 1 - 1e-12
    assert history[-1].item() == pytest.approx(environment_objective(vectors, logits, normalization="samples").item())
    # Nothing would move on.
    g = torch.einsum("ne,n...w->ew", weights, vectors) if shared else torch.einsum("ne,new->ew", weights, vectors)
    products = vectors @ g.T if shared else torch.einsum("new,ew->ne", vectors, g)
    assert torch.equal(products.argmax(1), logits.argmax(1))


@normalizations
def test_adam_ascends_and_is_repeatable(normalization):
    vectors, _ = _drawn(4, 40, 3, 6)
    options = {"environments": 3, "steps": 60, "normalization": normalization}
    logits, history = learn_environments(vectors, **options, generator=_seeded(1))
    assert logits.shape == (40, 3)
    assert history.shape == (61,)
    assert not logits.requires_grad
    assert logits.grad is None
    assert history[-1] > 1.5 * history[0]
    torch.testing.assert_close(history[-1], environment_objective(vectors, logits, normalization=normalization))
    again, _ = learn_environments(vectors, **options, generator=_seeded(1))
    assert torch.equal(again, logits)
    other, _ = learn_environments(vectors, **options, generator=_seeded(2))
    assert not torch.equal(other, logits)
    torch.manual_seed(3)
    first, _ = learn_environments(vectors, **options)
    torch.manual_seed(3)
    assert torch.equal(learn_environments(vectors, **options)[0], first)


def test_one_environment_stays_where_it_is():
    vectors, _ = _drawn(5, shared=True)
    logits, history = learn_environments(vectors, environments=1, steps=3, smallest_share=1.0, generator=_seeded(0))
    torch.testing.assert_close(logits.float(), torch.randn(5, 1, generator=_seeded(0)))
    torch.testing.assert_close(history, vectors.mean(0).square().sum().expand(4))


@pytest.mark.parametrize("width", [0, 3])
def test_vectors_without_gradient_move_nothing(width):
    logits, history = learn_environments(torch.zeros(4, 2, width), steps=3, generator=_seeded(0))
    torch.testing.assert_close(logits, torch.randn(4, 2, generator=_seeded(0)))
    assert history.abs().max() == 0


class _Released:
    """A model whose maps are given, and the released procedure on it: two nested backward passes a batch."""

    def __init__(self, samples):
        generator = _seeded(0)

        def draw(*shape):
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        # Gated maps of two environments, a head with a bias, proxies of three classes.
        self.maps = [draw(samples, 4, 2, 2).abs() for _ in range(2)]
        self.weight, self.bias, self.proxies = draw(3, 4), draw(3), draw(3, 3)
        self.labels = torch.randint(3, (samples,), generator=generator)

    def logits(self, pooled, labels):
        embeddings = pooled @ self.weight.T + self.bias
        cosines = F.normalize(embeddings) @ F.normalize(self.proxies).T
        return 8.0 * (cosines - 0.2 * F.one_hot(labels, 3))

    def vectors(self):
        parts = []
        for maps in self.maps:
            pooled = maps.mean((2, 3)).requires_grad_()
            logits = self.logits(pooled, self.labels)
            (gradient,) = torch.autograd.grad(F.cross_entropy(logits, self.labels, reduction="sum"), pooled)
            slopes = softmax_sample_scale_gradients(logits.detach(), self.labels, per_class=True)
            parts.append(torch.cat([slopes, *mask_gradients(maps, gradient)], 1))
        return torch.stack(parts, 1)

    def learn(self, start, batches):
        w = start.clone().requires_grad_()
        adam = torch.optim.Adam([w], lr=0.5)
        history = []
        for rows in batches:
            labels, weights, squares = self.labels[rows], torch.softmax(w[rows], 1), []
            for j, maps in enumerate(self.maps):
                scale = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
                channel = torch.ones(1, 4, 1, 1, dtype=torch.float64, requires_grad=True)
                place = torch.ones(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
                logits = self.logits((maps[rows] * place * channel).mean((2, 3)), labels)
                losses = F.cross_entropy(scale * logits, labels, reduction="none")
                risk = (weights[:, j] * losses).sum() / weights[:, j].sum()
                slopes = torch.autograd.grad(risk, [scale, channel, place], create_graph=True)
                squares.append(torch.cat([slope.flatten() for slope in slopes]).square().sum())
            objective = torch.stack(squares).mean()
            adam.zero_grad()
            (-objective).backward()
            adam.step()
            history.append(objective.detach())
        return w.detach(), torch.stack(history)


def test_batches_repeat_the_released_procedure():
    released = _Released(11)
    vectors = released.vectors()
    generator = _seeded(6)
    start = torch.randn(11, 2, generator=generator).double()
    batches = [rows for _ in range(3) for rows in torch.randperm(11, generator=generator).split(4)]
    expected, objectives = released.learn(start, batches)
    logits, history = learn_environments(vectors, batch_size=4, passes=3, generator=_seeded(6))
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(history[:-1], objectives)
    # Batches may be given, and hold a sample twice.
    batches = [torch.tensor(rows) for rows in ([0, 3, 3, 5], [7, 3], [1, 2])]
    expected, objectives = released.learn(start, batches)
    logits, history = learn_environments(vectors, batches=batches, generator=_seeded(6))
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(history[:-1], objectives)
    # Dense Adam: samples that were looked at move on; those that never were stay.
    assert torch.equal(logits[[4, 6]], start[[4, 6]])
    lone, _ = learn_environments(vectors, batches=batches[:1], generator=_seeded(6))
    assert not torch.equal(lone[5], logits[5])


@normalizations
@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 13), st.integers(1, 3), st.integers(1, 6), st.booleans(), st.sampled_from([0.0, 0.7]))
def test_all_batches_of_a_pass_at_once_are_one_after_the_other(  # noqa: PLR0917
    normalization, seed, samples, environments, batch_size, shared, entropy_weight
):
    vectors, _ = _drawn(seed, samples, environments, shared=shared)
    options = {"environments": environments, "normalization": normalization, "entropy_weight": entropy_weight}
    at_once = learn_environments(vectors, batch_size=batch_size, passes=3, generator=_seeded(seed), **options)
    generator = _seeded(seed)
    torch.randn(samples, environments, generator=generator)
    batches = [rows for _ in range(3) for rows in torch.randperm(samples, generator=generator).split(batch_size)]
    expected = learn_environments(vectors, batches=batches, generator=_seeded(seed), **options)
    for found, wanted in zip(at_once, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_passes_do_not_depend_on_how_much_is_held_at_a_time(monkeypatch):
    vectors, _ = _drawn(3, 23)
    whole = learn_environments(vectors, batch_size=4, passes=2, generator=_seeded(0))
    monkeypatch.setattr(passes, "_CHUNK", 40)
    for found, wanted in zip(
        learn_environments(vectors, batch_size=4, passes=2, generator=_seeded(0)), whole, strict=True
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"environments": 0}, "environments must be at least 1, got 0"),
        ({"environments": 3}, r"vectors must be \[4, width\] or \[4, 3, width\] as the weights, got shape \(4, 2, 3\)"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0, got 0"),
        ({"entropy_weight": -1.0}, "entropy_weight must be a finite number of at least 0, got -1"),
        ({"smallest_share": 0.6}, "smallest_share must be 0 to 1 / environments = 0.5, got 0.6"),
        ({"normalization": "none"}, "normalization must be environment or samples, got 'none'"),
        ({"solver": "sgd"}, "solver must be adam or frank-wolfe, got 'sgd'"),
        ({"solver": "frank-wolfe"}, "frank-wolfe needs normalization='samples'"),
        ({"solver": "frank-wolfe", "normalization": "samples", "smallest_share": 0.1}, "takes neither smallest_share"),
        ({"vectors": torch.zeros(0, 2, 3)}, "weights_logits must be"),
        ({"vectors": torch.zeros(4)}, "vectors must be"),
        ({"vectors": torch.tensor([[0.0], [torch.nan]])}, "vectors must be finite, got NaN or infinity for sample 1"),
    ],
)
def test_mistakes_are_named(change, message):
    given = {"vectors": torch.zeros(4, 2, 3), **change}
    with pytest.raises(ValueError, match=message):
        learn_environments(given.pop("vectors"), **given)


@pytest.mark.usefixtures("unchecked_shapes")
def test_integers_are_refused():
    with pytest.raises(TypeError, match="vectors must be floating-point"):
        environment_objective(torch.ones(2, 3, dtype=torch.long), torch.zeros(2, 2))
    with pytest.raises(TypeError, match="weights_logits must be floating-point"):
        environment_objective(torch.ones(2, 3), torch.zeros(2, 2, dtype=torch.long))
