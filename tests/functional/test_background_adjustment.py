from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.background_adjustment import background_adjusted_loss
from unconfound.functional.contrastive import info_nce, nt_xent


def _rows(batch=5, strata=3, features=4, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, batch, features, generator=generator, dtype=torch.float64)
    return first, second, torch.randn(batch, strata, features, generator=generator, dtype=torch.float64)


def _cosine(one, other):
    return sum(x * y for x, y in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


def _oracle(first, second, on_backgrounds, *, temperature, negatives):
    """P(Y | do(X)) = sum_t P(Y | X, Z = z_t) P(z_t), number by number."""
    views, losses = [first.tolist(), second.tolist()], []
    for j in (0, 1):
        for i, anchor in enumerate(views[j]):
            others = sum(
                math.exp(_cosine(anchor, views[view][k]) / temperature)
                for view in ((1 - j,) if negatives == "cross-view" else (0, 1))
                for k in range(len(first))
                if k != i
            )
            probability = 0.0
            for seen in on_backgrounds[i].tolist():
                score = math.exp(_cosine(anchor, seen) / temperature)
                probability += score / (score + others) / len(on_backgrounds[i])
            losses.append(-math.log(probability))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("negatives", ["cross-view", "both-views"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_it_is_the_sum_over_strata(negatives, temperature):
    rows = _rows()
    found = background_adjusted_loss(*rows, temperature=temperature, negatives=negatives)
    assert found.item() == pytest.approx(_oracle(*rows, temperature=temperature, negatives=negatives), rel=1e-10)


def test_positives_that_no_background_changes_give_the_plain_losses():
    first, _, _ = _rows()
    seen = first[:, None].expand(-1, 3, -1)
    both = background_adjusted_loss(first, first, seen, temperature=0.3, negatives="both-views")
    torch.testing.assert_close(both, nt_xent(first, first, temperature=0.3), rtol=1e-12, atol=1e-12)
    across = background_adjusted_loss(first, first, seen, temperature=0.3)
    torch.testing.assert_close(across, info_nce(first, first, temperature=0.3), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.01, 0.5]))
def test_bounds_and_invariances(batch, strata, features, seed, temperature):
    first, second, seen = _rows(batch, strata, features, seed=seed)
    loss = background_adjusted_loss(first, second, seen, temperature=temperature)
    longer = torch.rand(batch, strata, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    for other in (
        (first, second, seen * longer),
        (first * longer[:, 0], second, seen),
        (first, second, seen.flip(1)),
        (first, second, seen.repeat(1, 2, 1)),
        (second, first, seen),
        (first.flip(0), second.flip(0), seen.flip(0)),
    ):
        torch.testing.assert_close(background_adjusted_loss(*other, temperature=temperature), loss)
    # The logarithm of a mean is at least the mean of logarithms.
    single = [background_adjusted_loss(first, second, seen[:, [t]], temperature=temperature) for t in range(strata)]
    assert loss.isfinite()
    assert loss <= torch.stack(single).mean() + 1e-9


@pytest.mark.parametrize("negatives", ["cross-view", "both-views"])
def test_gradients_are_exact(negatives):
    rows = [each.requires_grad_() for each in _rows(4, 2)]
    assert torch.autograd.gradcheck(lambda *given: background_adjusted_loss(*given, negatives=negatives), rows)


def test_one_pair_has_nothing_to_contrast():
    rows = [each.requires_grad_() for each in _rows(1)]
    loss = background_adjusted_loss(*rows)
    loss.backward()
    assert loss == 0
    assert not any(each.grad is not None and each.grad.any() for each in rows)


def test_half_precision_is_computed_in_full():
    rows = [each.bfloat16() for each in _rows()]
    with torch.autocast("cpu", torch.bfloat16):
        found = background_adjusted_loss(*rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, background_adjusted_loss(*[each.float() for each in rows]))


def test_mistakes_are_named():
    first, second, seen = _rows()
    with pytest.raises(ValueError, match=r"on_backgrounds must be \[5, strata, 4\] with at least one stratum, got "):
        background_adjusted_loss(first, second, seen[:, :0])
    with pytest.raises(ValueError, match=r"on_backgrounds must be \[5, strata, 4\]"):
        background_adjusted_loss(first, second, seen[:3])
    with pytest.raises(ValueError, match=r"temperature must be a finite number above 0, got 0\.0"):
        background_adjusted_loss(first, second, seen, temperature=0.0)
    with pytest.raises(TypeError):
        background_adjusted_loss(first, second, seen.long())
