from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from unconfound.views import CorruptedViews, CorruptionOptions


def _where(rows, columns):
    """Rows in which the value of row r and column c is r + 1000 c: a view shows from where each value came."""
    return torch.arange(rows)[:, None] + 1000.0 * torch.arange(columns)


@given(
    rows=st.integers(2, 20), columns=st.integers(2, 12), rate=st.sampled_from([0.2, 0.5, 0.6, 0.9]), seed=st.integers(0)
)
def test_each_row_has_exactly_the_stated_columns_of_other_rows(rows, columns, rate, seed):
    if int(rate * columns + 1e-9) == 0:
        with pytest.raises(
            ValueError,
            match=f"corruption_rate {rate} of {columns} column\\(s\\), .* none",
        ):
            CorruptedViews(columns, CorruptionOptions(corruption_rate=rate))
        return
    torch.manual_seed(seed % 2**63)
    x = _where(rows, columns)
    clean, corrupted = CorruptedViews(columns, CorruptionOptions(corruption_rate=rate))(x).chunk(2)
    assert torch.equal(clean, x)
    # Each value is still one of its own column, of whichever row.
    assert torch.equal(corrupted // 1000, x // 1000)
    assert ((corrupted % 1000) < rows).all()
    # No row gives to itself, so what was replaced differs.
    assert ((corrupted != x).sum(1) == int(rate * columns + 1e-9)).all()


@pytest.mark.parametrize(("rate", "columns", "replaced"), [(0.29, 100, 29), (0.6, 5, 3), (0.6, 14, 8), (0.99, 2, 1)])
def test_the_rate_is_rounded_down_to_whole_columns(rate, columns, replaced):
    views = CorruptedViews(columns, CorruptionOptions(corruption_rate=rate))
    assert ((views(_where(50, columns)).chunk(2)[1] != _where(50, columns)).sum(1) == replaced).all()


def test_the_default_replaces_three_of_five_columns_not_two():
    # A rate that is taken for the share that is kept is a mistake others have made.
    corrupted = CorruptedViews(5)(_where(64, 5)).chunk(2)[1]
    assert ((corrupted != _where(64, 5)).sum(1) == 3).all()


def test_columns_and_donors_are_uniform_and_independent():
    torch.manual_seed(0)
    x, views = _where(6, 4), CorruptedViews(4, CorruptionOptions(corruption_rate=0.5))
    drawn = torch.stack([views(x).chunk(2)[1] for _ in range(3000)])
    replaced = drawn != x
    for count in replaced.sum(0).flatten().tolist():
        assert 1350 < count < 1650
    donors = (drawn % 1000).long()
    for row in range(6):
        counts = donors[:, row][replaced[:, row]].bincount(minlength=6)
        assert counts[row] == 0
        assert chisquare(np.delete(counts.numpy(), row)).pvalue > 1e-4
    # Two columns of a row that were replaced together have the same donor one time of five.
    together = donors[:, 0][replaced[:, 0]].view(-1, 2)
    assert (together[:, 0] == together[:, 1]).float().mean() == pytest.approx(0.2, abs=0.04)


def test_over_shuffled_batches_values_are_drawn_from_the_marginal_of_the_training_rows():
    generator = torch.Generator().manual_seed(1)
    # A skewed column and a category: nothing like uniform draws from their ranges.
    skewed = torch.distributions.Exponential(1.0).icdf(torch.rand(400, generator=generator)).round()
    codes = torch.multinomial(torch.tensor([0.7, 0.2, 0.1]), 400, replacement=True, generator=generator)
    rows = torch.cat([skewed[:, None], torch.nn.functional.one_hot(codes, 3)], 1)
    torch.manual_seed(2)
    views = CorruptedViews(4, CorruptionOptions(corruption_rate=0.5), columns=(1, 3))
    # The first column names the rows, so that each donor is seen, also where values are equal.
    seen = torch.zeros(400, dtype=torch.long)
    for _ in range(60):
        for batch in torch.randperm(400, generator=generator).split(20):
            corrupted = views(torch.cat([batch[:, None].float(), rows[batch, 1:]], 1)).chunk(2)[1]
            assert (corrupted[:, 1:].sum(1) == 1).all()
            donors = corrupted[:, 0].long()
            seen += donors[donors != batch].bincount(minlength=400)
    values, where = skewed.unique(return_inverse=True)
    found = torch.zeros(len(values)).index_add(0, where, seen.float())
    expected = where.bincount() / 400 * seen.sum()
    assert len(values) > 4
    assert chisquare(found.numpy(), expected.double().numpy(), sum_check=False).pvalue > 1e-4
    # Against a uniform range, the same test fails.
    uniform = torch.full((len(values),), float(seen.sum()) / len(values))
    assert chisquare(found.numpy(), uniform.numpy(), sum_check=False).pvalue < 1e-10


def test_the_features_of_a_column_are_replaced_together():
    torch.manual_seed(0)
    codes = torch.randint(3, (300,))
    x = torch.cat([torch.rand(300, 2), torch.nn.functional.one_hot(codes, 3), torch.rand(300, 1)], 1)
    corrupted = CorruptedViews(6, CorruptionOptions(corruption_rate=0.5), columns=(1, 1, 3, 1))(x).chunk(2)[1]
    assert (corrupted[:, 2:5].sum(1) == 1).all()
    # Half of the rows have another row's category, which differs two times of three.
    assert (corrupted[:, 2:5] != x[:, 2:5]).any(1).float().mean() == pytest.approx(1 / 3, abs=0.1)
    assert ((corrupted[:, [0, 1, 5]] != x[:, [0, 1, 5]]).sum(1) <= 2).all()


def test_two_rows_give_to_each_other_and_one_is_refused():
    x = _where(2, 3)
    corrupted = CorruptedViews(3)(x).chunk(2)[1]
    assert torch.equal((corrupted % 1000)[corrupted != x], torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="columns are taken from other rows, and this batch holds one: use at least"):
        CorruptedViews(3)(x[:1])


def test_gradients_reach_the_row_and_its_donors():
    x = _where(5, 4).double().requires_grad_()
    CorruptedViews(4)(x).sum().backward()
    assert x.grad.sum() == 2 * 20
    assert x.grad.unique().numel() > 1


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=f"corruption_rate must be .*, got {rate}"):
        CorruptionOptions(corruption_rate=rate)
