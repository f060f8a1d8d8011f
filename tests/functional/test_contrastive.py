from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.functional.contrastive import info_nce, nt_xent, supervised_contrastive


def cosine(left, right):
    return sum(float(a) * float(b) for a, b in zip(left, right, strict=True)) / (
        math.sqrt(sum(float(a) ** 2 for a in left)) * math.sqrt(sum(float(b) ** 2 for b in right))
    )


def log_sum_exp(values):
    peak = max(values)
    return peak + math.log(sum(math.exp(value - peak) for value in values))


def naive_nt_xent(first, second, temperature):
    """Section 5 of the specification with its interleaved layout: rows 2k and 2k + 1 are a pair."""
    rows = [row for pair in zip(first, second, strict=True) for row in pair]
    total = 0.0
    for i, row in enumerate(rows):
        others = [cosine(row, rows[k]) / temperature for k in range(len(rows)) if k != i]
        total += log_sum_exp(others) - cosine(row, rows[i ^ 1]) / temperature
    return total / len(rows)


def naive_info_nce(anchor, positive, temperature):
    losses = []
    for i, row in enumerate(anchor):
        logits = [cosine(row, other) / temperature for other in positive]
        losses.append(log_sum_exp(logits) - logits[i])
    return sum(losses) / len(losses)


def naive_supervised(rows, labels, temperature):
    losses = []
    for i in range(len(rows)):
        others = [k for k in range(len(rows)) if k != i]
        denominator = log_sum_exp([cosine(rows[i], rows[k]) / temperature for k in others])
        positives = [k for k in others if labels[k] == labels[i]]
        if positives:
            terms = [denominator - cosine(rows[i], rows[p]) / temperature for p in positives]
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses)


def draw(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


LABELS = torch.tensor([0, 3, 0, 1, 3, 0, 2])
# Each loss as a function of two tensors of seven rows.
LOSSES = {
    "nt_xent": nt_xent,
    "info_nce": info_nce,
    "supervised": lambda first, second, **options: supervised_contrastive(
        torch.cat([first, second]), torch.cat([LABELS, LABELS + 1]), **options
    ),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@settings(deadline=None, max_examples=20)
@given(
    batch=st.integers(2, 6),
    features=st.integers(2, 5),
    temperature=st.sampled_from([0.01, 0.1, 0.5, 3.0]),
    tile=st.sampled_from([None, 1, 3, 100]),
    seed=st.integers(0, 1000),
)
def test_pair_losses_equal_their_definition(batch, features, temperature, tile, seed):
    first, second = draw(seed, 2, batch, features)
    options = {"temperature": temperature, "tile": tile}
    assert nt_xent(first, second, **options).item() == pytest.approx(
        naive_nt_xent(first, second, temperature), abs=1e-10
    )
    assert info_nce(first, second, **options).item() == pytest.approx(
        naive_info_nce(first, second, temperature), abs=1e-10
    )


@settings(deadline=None, max_examples=20)
@given(
    labels=st.lists(st.integers(0, 4), min_size=6, max_size=10),  # six rows of five classes share a label
    temperature=st.sampled_from([0.02, 0.1, 1.0]),
    tile=st.sampled_from([None, 1, 4, 100]),
    seed=st.integers(0, 1000),
)
def test_supervised_contrastive_equals_its_definition(labels, temperature, tile, seed):
    rows = draw(seed, len(labels), 4)
    value = supervised_contrastive(rows, torch.tensor(labels), temperature=temperature, tile=tile)
    assert value.item() == pytest.approx(naive_supervised(rows, labels, temperature), abs=1e-10)


def test_nt_xent_equals_cross_entropy_over_the_matrix():
    first, second = draw(0, 2, 9, 5)
    rows = F.normalize(torch.cat([first, second]), dim=1)
    logits = (rows @ rows.T / 0.3).masked_fill(torch.eye(18, dtype=torch.bool), -torch.inf)
    expected = F.cross_entropy(logits, (torch.arange(18) + 9) % 18)
    torch.testing.assert_close(nt_xent(first, second, temperature=0.3), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tile", [None, 2])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 2.0])
def test_known_answers_of_nt_xent(temperature, tile):
    value = partial(nt_xent, temperature=temperature, tile=tile)
    for batch in (2, 6):
        same = torch.ones(batch, 3, dtype=torch.float64)
        assert value(same, 5 * same).item() == pytest.approx(math.log(2 * batch - 1), abs=1e-12)
        orthogonal = torch.eye(2 * batch, dtype=torch.float64)
        assert value(orthogonal[:batch], orthogonal[batch:]).item() == pytest.approx(math.log(2 * batch - 1), abs=1e-12)
        pairs = torch.eye(batch, dtype=torch.float64)
        expected = math.log1p((2 * batch - 2) * math.exp(-1 / temperature))
        assert value(pairs, pairs).item() == pytest.approx(expected, abs=1e-12)
    opposite = torch.tensor([[1.0, 0], [-1, 0]], dtype=torch.float64)
    expected = math.log1p(2 * math.exp(-2 / temperature))
    assert value(opposite, opposite).item() == pytest.approx(expected, abs=1e-12)


def test_published_digits_of_the_known_answers():
    pairs = torch.eye(6, dtype=torch.float64)
    opposite = torch.tensor([[1.0, 0], [-1, 0]], dtype=torch.float64)
    assert nt_xent(torch.ones(6, 2), torch.ones(6, 2)).item() == pytest.approx(2.397895, abs=5e-7)
    assert nt_xent(pairs, pairs).item() == pytest.approx(0.855841, abs=5e-7)
    assert nt_xent(opposite, opposite).item() == pytest.approx(0.035976, abs=5e-7)


@pytest.mark.parametrize("loss", [nt_xent, info_nce])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_one_pair_has_the_loss_zero_exactly(loss, dtype):
    first, second = draw(3, 2, 1, 8, dtype=torch.float64).to(dtype).requires_grad_()
    value = loss(first, second, temperature=0.07)
    assert value.item() == 0
    assert value.requires_grad
    assert loss(torch.full((1, 2), torch.nan), torch.ones(1, 2)).isnan()


@each_loss
def test_gradients_are_exact(loss):
    first, second = draw(1, 2, 7, 3).requires_grad_()
    for tile in (None, 3):
        assert torch.autograd.gradcheck(partial(loss, temperature=0.2, tile=tile), (first, second))


@each_loss
@pytest.mark.parametrize("tile", [1, 2, 5, 7, 13, 14, 100])
def test_value_and_gradient_do_not_depend_on_the_tile(loss, tile):
    pair = draw(2, 2, 7, 6).requires_grad_()
    expected = loss(*pair)
    value = loss(*pair, tile=tile)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-13)
    gradients = [torch.autograd.grad(3 * each, pair)[0] for each in (value, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-13)
    with torch.no_grad():
        torch.testing.assert_close(loss(*pair, tile=tile), expected, rtol=0, atol=1e-13)


def test_default_tiling_of_a_batch_too_large_for_one_tile():
    first, second = draw(4, 2, 1100, 8).requires_grad_()
    value = nt_xent(first, second)
    assert "_Tiled" in str(value.grad_fn.next_functions) + value.grad_fn.name()
    whole = nt_xent(first, second, tile=2200)
    torch.testing.assert_close(value, whole, rtol=0, atol=1e-12)
    for gradients in zip(*[torch.autograd.grad(each, (first, second)) for each in (value, whole)], strict=True):
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-15)


@each_loss
@pytest.mark.parametrize("tile", [None, 4])
def test_invariances(loss, tile):
    pair = draw(5, 2, 7, 4).requires_grad_()
    loss = partial(loss, temperature=0.2, tile=tile)
    expected = loss(*pair)
    same = partial(torch.testing.assert_close, expected=expected, rtol=0, atol=1e-12)
    rotation, _ = torch.linalg.qr(draw(6, 4, 4))
    same(loss(*(pair @ rotation)))
    same(loss(*(pair * draw(7, 2, 7, 1).abs().add(0.1))))
    same(loss(*(pair * 1e200)))
    same(loss(*(pair * 1e-200)))
    (gradient,) = torch.autograd.grad(expected, pair)
    torch.testing.assert_close((pair * gradient).sum(-1), torch.zeros(2, 7).double(), rtol=0, atol=1e-12)
    assert gradient.abs().max() > 1e-3


def test_order_of_views_and_anchors_does_not_matter():
    first, second = draw(8, 2, 7, 4)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    assert nt_xent(first, second).item() == pytest.approx(nt_xent(second, first).item(), abs=1e-12)
    for loss in (nt_xent, info_nce):
        assert loss(first[order], second[order]).item() == pytest.approx(loss(first, second).item(), abs=1e-12)
    supervised = supervised_contrastive(first, LABELS).item()
    assert supervised_contrastive(first[order], LABELS[order]).item() == pytest.approx(supervised, abs=1e-12)
    assert info_nce(first, second).item() != pytest.approx(info_nce(second, first).item(), abs=1e-4)


def test_supervised_contrastive_with_two_views_a_class_is_nt_xent():
    first, second = draw(9, 2, 5, 4)
    value = supervised_contrastive(torch.cat([first, second]), torch.arange(5).repeat(2), temperature=0.5)
    torch.testing.assert_close(value, nt_xent(first, second, temperature=0.5), rtol=0, atol=1e-12)


def test_an_anchor_without_positive_is_a_negative_only():
    rows = draw(10, 3, 4)
    labels = torch.tensor([0, 0, 1])
    value = supervised_contrastive(rows, labels)
    assert value.item() == pytest.approx(naive_supervised(rows, labels.tolist(), 0.1), abs=1e-12)
    assert value.item() != pytest.approx(supervised_contrastive(rows[:2], labels[:2]).item(), abs=1e-3)


@each_loss
@pytest.mark.parametrize("tile", [None, 4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_at_a_low_temperature(loss, tile, dtype):
    pair = draw(11, 2, 7, 16).to(dtype).requires_grad_()
    value = loss(*pair, temperature=0.01, tile=tile)
    value.backward()
    exact = loss(*pair.detach().double(), temperature=0.01, tile=tile)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert pair.grad.dtype == dtype
    assert pair.grad.isfinite().all()


@each_loss
@pytest.mark.parametrize("tile", [None, 4])
def test_autocast_changes_nothing(loss, tile):
    pair = draw(12, 2, 7, 16, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(*pair, temperature=0.05, tile=tile)
    assert torch.equal(value, loss(*pair, temperature=0.05, tile=tile))


@each_loss
@pytest.mark.parametrize("tile", [None, 4])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_value_that_is_not_finite_gives_nan(loss, tile, bad):
    pair = draw(13, 2, 7, 4)
    pair[1, 2, 0] = bad
    assert loss(*pair, tile=tile).isnan()


@each_loss
@pytest.mark.parametrize("tile", [None, 4])
def test_a_row_of_zeros_has_no_similarity_and_a_finite_gradient(loss, tile):
    pair = draw(14, 2, 7, 4)
    pair[0, 3] = 0
    pair.requires_grad_()
    value = loss(*pair, tile=tile)
    value.backward()
    assert value.isfinite()
    assert pair.grad.isfinite().all()
    assert pair.grad.abs().max() < 100


@each_loss
def test_one_tile_can_be_differentiated_again(loss):
    pair = draw(15, 2, 7, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda both: loss(*both), (pair,))
    tangent = draw(16, 2, 7, 3)
    value = lambda both: loss(*both)  # noqa: E731
    _, forward = torch.func.jvp(value, (pair.detach(),), (tangent,))
    (gradient,) = torch.autograd.grad(value(pair), pair)
    torch.testing.assert_close(forward, (gradient * tangent).sum(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", [nt_xent, info_nce])
def test_one_tile_can_be_mapped_over(loss):
    pairs = draw(17, 3, 2, 7, 3)
    expected = torch.stack([loss(*pair) for pair in pairs])
    value = torch.func.vmap(lambda both: loss(both[0], both[1]))(pairs)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)


@each_loss
def test_several_tiles_refuse_a_second_derivative(loss):
    pair = draw(18, 2, 7, 3).requires_grad_()
    value = lambda both: loss(*both, tile=3)  # noqa: E731
    (gradient,) = torch.autograd.grad(value(pair), pair, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative: pass tile="):
        gradient.square().sum().backward()
    with pytest.raises(RuntimeError, match="no second derivative: pass tile="):
        torch.func.grad(lambda both: torch.func.grad(value)(both).square().sum())(pair.detach())
    with pytest.raises(NotImplementedError):
        torch.func.jvp(torch.func.grad(value), (pair.detach(),), (pair.detach(),))


@each_loss
@pytest.mark.parametrize("temperature", [0, -0.5, math.nan, math.inf])
def test_temperature_out_of_range(loss, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got"):
        loss(*draw(0, 2, 7, 3), temperature=temperature)


@each_loss
def test_tile_out_of_range(loss):
    with pytest.raises(ValueError, match="tile must be at least 1 row, got 0"):
        loss(*draw(0, 2, 7, 3), tile=0)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("loss", [nt_xent, info_nce])
def test_pairs_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=r"equal shapes.*got \(3, 4\) and \(2, 4\)"):
        loss(torch.ones(3, 4), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"got shape \(0, 4\)"):
        loss(torch.ones(0, 4), torch.ones(0, 4))
    with pytest.raises(ValueError, match=r"got shape \(3, 0\)"):
        loss(torch.ones(3, 0), torch.ones(3, 0))
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        loss(torch.ones(3), torch.ones(3))
    with pytest.raises(TypeError, match=r"floating-point, got torch.int64"):
        loss(torch.ones(3, 4).long(), torch.ones(3, 4).long())


@pytest.mark.usefixtures("unchecked_shapes")
def test_labels_that_do_not_fit():
    rows = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"shape \(3,\), one a row, got \(2,\)"):
        supervised_contrastive(rows, torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="0 or above, got -1: leave out"):
        supervised_contrastive(rows, torch.tensor([0, 0, -1]))
    with pytest.raises(TypeError, match=r"integers, got torch.float32"):
        supervised_contrastive(rows, torch.zeros(3))
    with pytest.raises(ValueError, match="no two of the 3 rows share a label"):
        supervised_contrastive(rows, torch.arange(3))
