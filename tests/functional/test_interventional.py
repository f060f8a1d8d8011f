from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.contrastive import info_nce, nt_xent
from unconfound.functional.interventional import interventional_loss, strata_cosine, strata_diversity


def _rows(batch=5, features=4, *, seed=0, strata=3):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, batch, features, generator=generator, dtype=torch.float64)
    return first, second, torch.rand(strata, features, generator=generator, dtype=torch.float64)


def _cosine(one, other):
    lengths = math.sqrt(sum(x * x for x in one)) * math.sqrt(sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths > 1e-9 else 0.0


def _oracle(first, second, strata, *, temperature, negatives):
    """The poster's formula, number by number."""
    views = [first.tolist(), second.tolist()]
    batch, losses = len(first), []
    for j in (0, 1):
        for i in range(batch):
            anchor, positive = views[j][i], views[1 - j][i]
            taken = (1 - j,) if negatives == "cross-view" else (0, 1)
            others = sum(
                math.exp(_cosine(anchor, views[view][k]) / temperature)
                for view in taken
                for k in range(batch)
                if k != i
            )
            own = strata if strata.dim() == 2 else strata[i]
            probability = 0.0
            for stratum in own.tolist():
                score = math.exp(_cosine(anchor, [a * z for a, z in zip(stratum, positive, strict=True)]) / temperature)
                probability += score / (score + others) / len(own)
            losses.append(-math.log(probability))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("negatives", ["cross-view", "both-views"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("own", [False, True])
def test_it_is_the_formula_of_the_poster(negatives, temperature, own):
    first, second, strata = _rows()
    if own:
        strata = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = _oracle(first, second, strata, temperature=temperature, negatives=negatives)
    found = interventional_loss(first, second, strata, temperature=temperature, negatives=negatives)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_strata_of_ones_give_the_plain_losses():
    first, second, _ = _rows(7)
    for scales in ([1.0], [3.0], [0.2, 5.0, 1e-3]):
        strata = torch.tensor(scales, dtype=torch.float64)[:, None].expand(-1, 4)
        both = interventional_loss(first, second, strata, temperature=0.3, negatives="both-views")
        torch.testing.assert_close(both, nt_xent(first, second, temperature=0.3), rtol=1e-12, atol=1e-12)
        across = interventional_loss(first, second, strata, temperature=0.3)
        plain = (info_nce(first, second, temperature=0.3) + info_nce(second, first, temperature=0.3)) / 2
        torch.testing.assert_close(across, plain, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(2, 6), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.01, 0.1, 1.0])
)
def test_bounds_and_invariances(batch, strata_count, features, seed, temperature):
    first, second, strata = _rows(batch, features, seed=seed, strata=strata_count)
    generator = torch.Generator().manual_seed(seed)
    loss = interventional_loss(first, second, strata, temperature=temperature)
    scaled = strata * torch.rand(strata_count, 1, generator=generator, dtype=torch.float64).add(0.1)
    longer = first * torch.rand(batch, 1, generator=generator, dtype=torch.float64).add(0.1)
    for other in (
        (first, second, scaled),
        (first, second, strata.flip(0)),
        (first, second, strata.repeat(2, 1)),
        (longer, second, strata),
        (second, first, strata),
        (first.flip(0), second.flip(0), strata),
    ):
        torch.testing.assert_close(interventional_loss(*other, temperature=temperature), loss, rtol=1e-8, atol=1e-8)
    single = torch.stack(
        [interventional_loss(first, second, stratum[None], temperature=temperature) for stratum in strata]
    )
    assert loss <= single.mean() + 1e-9
    assert loss.isfinite()


def test_it_lies_between_the_best_stratum_and_that_plus_log_n_for_each_pair():
    first, second, strata = _rows(2)
    # With two samples a pair's own loss can be had by making the other pair's equal to it.
    pair = (first[:1].repeat(2, 1), second[:1].repeat(2, 1))
    loss = interventional_loss(*pair, strata)
    directions = []
    for anchor, positive in (pair, pair[::-1]):
        others = math.exp(_cosine(anchor[0].tolist(), positive[0].tolist()) / 0.5)
        scores = [math.exp(_cosine(anchor[0].tolist(), (a * positive[0]).tolist()) / 0.5) for a in strata]
        directions.append([-math.log(score / (score + others)) for score in scores])
    low = sum(min(losses) for losses in directions) / 2
    assert low - 1e-12 <= loss.item() <= low + math.log(3) + 1e-12


def test_gradients_are_exact_and_orthogonal_to_strata():
    first, second, strata = _rows(4)
    inputs = [tensor.requires_grad_() for tensor in (first, second, strata)]
    for negatives in ("cross-view", "both-views"):
        assert torch.autograd.gradcheck(lambda *a, n=negatives: interventional_loss(*a, negatives=n), inputs)
        assert torch.autograd.gradgradcheck(lambda *a, n=negatives: interventional_loss(*a, negatives=n), inputs)
    (gradient,) = torch.autograd.grad(interventional_loss(first, second, strata), strata)
    torch.testing.assert_close((gradient * strata).sum(1), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_ceiling_is_reached_by_the_ratio_of_agreeing_coordinates():
    first, second, _ = _rows(1, 6, seed=3)
    agree = first[0] * second[0] > 0
    best = torch.where(agree, (first[0] / second[0]).abs(), 0)
    reached = _cosine(first[0].tolist(), (best * second[0]).tolist())
    assert reached == pytest.approx(float(first[0][agree].norm() / first[0].norm()))
    for seed in range(50):
        stratum = torch.rand(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert _cosine(first[0].tolist(), (stratum * second[0]).tolist()) <= reached + 1e-12


def test_a_stratum_that_wipes_samples_out_has_a_finite_value_and_gradient():
    first, second, _ = _rows(3)
    strata = torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 0]], dtype=torch.float64).requires_grad_()
    second[1, 0] = 0.0
    first.requires_grad_()
    loss = interventional_loss(first, second, strata)
    assert loss.item() == pytest.approx(_oracle(first, second, strata, temperature=0.5, negatives="cross-view"))
    loss.backward()
    assert first.grad.isfinite().all()
    assert strata.grad.isfinite().all()


def test_extreme_temperatures_and_half_precision_stay_finite():
    first, second, strata = (tensor.float() for tensor in _rows(6))
    assert interventional_loss(first, -first, strata, temperature=0.01).isfinite()
    exact = interventional_loss(first, second, strata)
    half = interventional_loss(first.bfloat16(), second.bfloat16(), strata)
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(interventional_loss(first, second, strata), exact)


def test_one_pair_has_no_negatives_and_the_loss_0():
    first, second, strata = _rows(1)
    assert interventional_loss(first.requires_grad_(), second, strata).item() == 0


def test_diversity_has_the_known_values():
    equal = torch.tensor([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0]])
    assert strata_diversity(equal).item() == pytest.approx(0, abs=1e-6)
    assert strata_diversity(torch.eye(4)).item() == pytest.approx(-4)
    simplex = torch.eye(4) - 0.25
    assert strata_diversity(simplex).item() == pytest.approx(-16 / 3, abs=1e-5)
    assert strata_diversity(torch.eye(3), sharpness=1.0).item() == pytest.approx(-2)
    assert strata_diversity(torch.ones(1, 3)).item() == 0
    assert torch.autograd.gradcheck(strata_diversity, _rows()[2].requires_grad_())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strata": torch.ones(3, 5)}, r"strata must be \[strata, 4\] or \[5, strata, 4\], got \(3, 5\)"),
        ({"strata": torch.ones(4, 3, 4)}, "strata of 4 samples were given for 5"),
        ({"strata": -torch.ones(3, 4)}, "strata must be at least 0, got -1"),
        ({"strata": torch.ones(0, 4)}, "strata must be"),
        ({"second": torch.ones(4, 4)}, "equal shapes"),
        ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
        ({"negatives": "none"}, "negatives must be cross-view or both-views, got 'none'"),
    ],
)
def test_mistakes_are_named(change, message):
    first, second, strata = (tensor.float() for tensor in _rows())
    given = {"first": first, "second": second, "strata": strata, **change}
    with pytest.raises(Exception, match=message):
        interventional_loss(given.pop("first"), given.pop("second"), given.pop("strata"), **given)


def test_diversity_refuses_a_sharpness_of_0():
    with pytest.raises(ValueError, match="sharpness must be above 0, got 0"):
        strata_diversity(torch.ones(2, 2), sharpness=0.0)


def test_mean_cosine_of_pairs():
    strata = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [_cosine(own[i].tolist(), own[j].tolist()) for own in strata for i in range(4) for j in range(4) if i != j]
    assert strata_cosine(strata).item() == pytest.approx(sum(pairs) / len(pairs))
    assert strata_cosine(torch.eye(3)).item() == pytest.approx(0)
    assert strata_cosine(torch.ones(1, 3)).item() == 1
