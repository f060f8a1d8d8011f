from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from two_processes import run

from unconfound.functional.distributed import world
from unconfound.views import MixedViews, MixingOptions

ALL = ("linear", "geometric", "binary")
PLUS = MixingOptions(functions=ALL)


def _identities(batch):
    """Rows in which sample k is the k-th unit vector: a view shows who is in it, with which share."""
    return torch.eye(batch, dtype=torch.float64)


def _partners(views, batch):
    """The partner of each row of linear views of `_identities`, or its own position."""
    own = torch.arange(len(views)) % batch
    others = views.clone()
    others[torch.arange(len(views)), own] = 0
    return torch.where(others.amax(1) > 0, others.argmax(1), own)


@pytest.mark.parametrize("partners", ["shift", "independent"])
def test_the_share_of_the_sample_is_in_its_range_and_the_rest_is_one_other_sample(partners):
    views = MixedViews(MixingOptions(linear_low=0.6, partners=partners))(_identities(8))
    assert views.shape == (16, 8)
    own = views[torch.arange(16), torch.arange(16) % 8]
    assert own.min() >= 0.6
    assert own.max() <= 1
    torch.testing.assert_close(views.sum(1), torch.ones(16).double())
    assert ((views > 0).sum(1) <= 2).all()


@pytest.mark.parametrize("partners", ["shift", "independent"])
@pytest.mark.parametrize("gradient", [False, True])
def test_a_partner_is_any_other_sample_with_equal_probability(partners, gradient):
    torch.manual_seed(0)
    batch, rounds = 5, 2000
    views = MixedViews(MixingOptions(linear_low=0.5, partners=partners))
    found = torch.zeros(2, batch, batch)
    for _ in range(rounds):
        made = views(_identities(batch).requires_grad_(gradient)).detach()
        for view, partner in zip(found, _partners(made, batch).view(2, batch), strict=True):
            view[torch.arange(batch), partner] += 1
    assert (found.diagonal(dim1=1, dim2=2) == 0).all()
    shares = found / rounds
    expected = (1 - torch.eye(batch)) / (batch - 1)
    # Five standard deviations of a share of 1/4 among 2,000.
    assert (shares - expected).abs().max() < 5 * (0.25 * 0.75 / rounds) ** 0.5


def test_the_two_views_draw_partner_and_share_apart():
    torch.manual_seed(0)
    first, second = MixedViews(MixingOptions(linear_low=0.5))(_identities(64)).chunk(2)
    assert not torch.equal(_partners(first, 64), _partners(second, 64))
    shares = torch.stack([first.diagonal(), second.diagonal()])
    assert abs(torch.corrcoef(shares)[0, 1]) < 0.5
    assert shares.flatten().unique().numel() == 128


def test_with_one_share_a_batch_all_samples_have_it_and_the_views_differ():
    first, second = MixedViews(MixingOptions(linear_low=0.5, shares="batch"))(_identities(6)).chunk(2)
    assert first.diagonal().unique().numel() == second.diagonal().unique().numel() == 1
    assert first[0, 0] != second[0, 0]


@pytest.mark.parametrize("partners", ["shift", "independent"])
def test_where_it_is_allowed_a_sample_is_its_own_partner_once_in_a_batch(partners):
    torch.manual_seed(0)
    views = MixedViews(MixingOptions(linear_low=0.5, partners=partners, exclude_self=False))
    own = sum(int((_partners(views(_identities(6)), 6) == torch.arange(12) % 6).sum()) for _ in range(1000))
    # 12,000 rows, one in six: 2,000; in a shift all rows of a view go together, hence the wide margin.
    assert 1600 < own < 2400


def test_displacement_is_what_the_closed_form_says():
    """Mean |x+ - x|^2 = (1 - low)^2 / 3 x 2 N / (N - 1) x trace of the biased covariance (spec, section 10)."""
    torch.manual_seed(0)
    x = torch.rand(6, 4, dtype=torch.float64)
    expected = 0.5**2 / 3 * 12 / 5 * x.var(0, correction=0).sum()
    for partners in ("shift", "independent"):
        views = MixedViews(MixingOptions(linear_low=0.5, partners=partners))
        moved = torch.stack([(views(x) - x.repeat(2, 1)).square().sum(1).mean() for _ in range(4000)])
        assert abs(moved.mean() - expected) < 5 * moved.std() / 4000**0.5


def test_dacl_plus_gives_both_views_of_a_sample_one_function_each_as_often():
    torch.manual_seed(0)
    # Zeros make a literal geometric mix 0, a binary mix keeps ones and zeros, a linear one has fractions.
    views = MixedViews(replace(PLUS, floor=0.0, keep=0.5, linear_low=0.5))
    batch, rounds = 9, 1500
    x = torch.cat([_identities(batch), torch.ones(batch, 8)], 1)
    counts = torch.zeros(batch, 3)
    for _ in range(rounds):
        made = views(x)[:, :batch]
        fraction = ((made > 0) & (made < 1)).any(1)
        kinds = torch.where(fraction, 0, torch.where((made == 0).all(1), 1, 2)).view(2, batch)
        # A binary mix may lose its one bit, too, and then looks geometric.
        sure = (kinds == 0).any(0)
        assert (kinds[:, sure] == 0).all()
        counts[:, 0] += sure
    share = counts[:, 0] / rounds
    assert (share - 1 / 3).abs().max() < 5 * (2 / 9 / rounds) ** 0.5


def test_each_function_computes_its_own_rows_alone(monkeypatch):
    rows = Counter()
    from unconfound.views import mixed_views as mixing

    for name in ALL:
        function = getattr(mixing, f"{name}_mix")

        def counted(x, *rest, _name=name, _function=function, **more):
            rows[_name] += len(x)
            return _function(x, *rest, **more)

        monkeypatch.setattr(mixing, f"{name}_mix", counted)
    MixedViews(PLUS)(torch.rand(300, 4))
    assert sum(rows.values()) == 600
    assert all(120 < count < 280 for count in rows.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@given(low=st.floats(0, 1), share=st.floats(0, 1, exclude_max=True, width=32))
def test_weights_are_never_above_1_and_so_need_no_check(dtype, low, share):
    from unconfound.views import mixed_views as mixing

    seen = []

    def linear_mix(x, partner, weight, *, out, checked):
        seen.append(weight)
        return mixing_function(x, partner, weight, out=out, checked=checked)

    mixing_function, uniform = mixing.linear_mix, mixing.uniform
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixing, "linear_mix", linear_mix)
        patch.setattr(mixing, "uniform", lambda *shape, device: torch.full_like(uniform(*shape, device=device), share))
        MixedViews(MixingOptions(linear_low=low))(torch.rand(3, 2).to(dtype))
    weights = torch.cat(seen)
    assert weights.dtype == dtype
    assert ((weights >= 0) & (weights <= 1)).all()


@given(batch=st.integers(2, 9), seed=st.integers(0, 1000), functions=st.sets(st.sampled_from(ALL), min_size=1))
def test_views_lie_between_the_samples_they_mix_with_or_without_a_gradient(batch, seed, functions):
    options = MixingOptions(functions=tuple(sorted(functions)))
    x = torch.rand(batch, 2, 3, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    plain = MixedViews(options)(x)
    torch.manual_seed(seed)
    learnt = MixedViews(options)(x.clone().requires_grad_())
    assert torch.equal(plain, learnt)
    assert plain.shape == (2 * batch, 2, 3)
    assert (plain >= x.amin(0) - 1e-6).all()
    assert (plain <= x.amax(0).clamp_min(1 / 255) + 1e-6).all()


def test_shares_of_1_return_the_batch_twice_bit_for_bit():
    x = torch.rand(7, 5)
    x[2, 1] = 0
    options = replace(PLUS, linear_low=1, geometric_low=1, keep=1)
    assert torch.equal(MixedViews(options)(x), x.repeat(2, 1))


def test_one_mixed_view_leaves_the_first_as_it_is():
    x = torch.rand(7, 5)
    for gradient in (False, True):
        first, second = MixedViews(MixingOptions(mixed_views=1))(x.clone().requires_grad_(gradient)).chunk(2)
        assert torch.equal(first, x)
        assert (second != x).any(1).all()


def test_the_features_of_a_column_stay_together_in_a_binary_mix():
    torch.manual_seed(0)
    codes = torch.randint(3, (40,))
    x = torch.cat([torch.rand(40, 1), torch.nn.functional.one_hot(codes, 3)], 1)
    views = MixedViews(MixingOptions(functions=("binary",), keep=0.5), columns=(1, 3))(x)
    assert (views[:, 1:].sum(1) == 1).all()
    changed = (views[:, 1:] != x.repeat(2, 1)[:, 1:]).any(1).float().mean()
    # Half of the columns are replaced, by another category two times of three.
    assert 0.15 < changed < 0.55
    loose = MixedViews(MixingOptions(functions=("binary",), keep=0.5))(x)
    assert (loose[:, 1:].sum(1) != 1).any()


def test_a_binary_mix_keeps_the_share_of_values_it_says():
    torch.manual_seed(0)
    x = torch.arange(50.0)[:, None].expand(50, 2000) / 50
    views = MixedViews(MixingOptions(functions=("binary",), keep=0.9))(x)
    assert (views == x.repeat(2, 1)).float().mean() == pytest.approx(0.9, abs=0.005)


def test_gradients_flow_through_sample_and_partner():
    x = _identities(4).requires_grad_()
    MixedViews(MixingOptions(linear_low=0.5))(x).sum().backward()
    # Shares of a row's own and its partners' sum up to 2 a row only over the whole batch.
    assert x.grad.sum().item() == pytest.approx(8 * 4)
    assert x.grad.unique().numel() > 1


def test_two_samples_are_each_other_s_partners_and_one_is_refused():
    assert (_partners(MixedViews()(_identities(2)), 2) == torch.tensor([1, 0, 1, 0])).all()
    with pytest.raises(ValueError, match="this batch holds one sample: use at least two"):
        MixedViews()(_identities(1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"functions": ()}, "at least one mixing function"),
        ({"functions": ("linear", "linear")}, "each once"),
        ({"functions": ("linaer",)}, "unknown functions 'linaer'.*linear"),
        ({"linear_low": 1.5}, r"linear_low must be in \[0, 1\], got 1.5"),
        ({"geometric_low": -0.1}, r"geometric_low must be in \[0, 1\], got -0.1"),
        ({"keep": 2}, r"keep must be in \[0, 1\], got 2"),
        ({"floor": -1}, "floor must be at least 0, got -1"),
        ({"partners": "roll"}, "unknown partners 'roll'.*shift"),
        ({"shares": "view"}, "unknown shares 'view'.*sample"),
        ({"mixed_views": 3}, "unknown mixed_views 3.*1, 2"),
    ],
)
def test_options_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MixingOptions(**wrong)


CASES = {
    "linear": MixingOptions(linear_low=0.2),
    "independent": replace(PLUS, partners="independent"),
    "plus": PLUS,
    "one share": replace(PLUS, shares="batch", exclude_self=False),
    "one view": MixingOptions(mixed_views=1),
}


def _views(name, gradient):
    torch.manual_seed(3)
    x = torch.rand(10, 4, 2, dtype=torch.float64)
    rank, processes = world()
    own = x.chunk(processes)[rank].clone().requires_grad_(gradient)
    torch.manual_seed(5)
    views = MixedViews(CASES[name])(own)
    if not gradient:
        return [*views.chunk(2)]
    (views.chunk(2)[0] * x.chunk(processes)[rank].cos()).sum().backward()
    return [*views.detach().chunk(2), own.grad]


def _all_views():
    return {f"{name} {gradient}": _views(name, gradient) for name in CASES for gradient in (False, True)}


def test_two_processes_make_the_views_and_gradients_of_one(tmp_path):
    two = run(_all_views, tmp_path)
    for name, expected in _all_views().items():
        for parts, whole in zip(zip(*[rank[name] for rank in two], strict=True), expected, strict=True):
            torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-14)
