from __future__ import annotations

import pytest
import torch
from two_processes import run

from unconfound.functional.distributed import world
from unconfound.views import MixedViews, MixingOptions, NoiseOptions, NoisyViews, matched_sigma


def test_each_view_has_noise_of_its_own_of_the_stated_size():
    torch.manual_seed(0)
    x = torch.rand(200, 5, 20)
    first, second = (NoisyViews(NoiseOptions(sigma=0.3))(x) - x.repeat(2, 1, 1)).chunk(2)
    for noise in (first, second):
        assert noise.mean() == pytest.approx(0, abs=0.01)
        assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.03


def test_matched_noise_moves_samples_as_far_as_mixing_does():
    torch.manual_seed(0)
    x = torch.rand(40, 300, dtype=torch.float64) * torch.rand(300, dtype=torch.float64)

    def displacement(views):
        return torch.stack([(views(x) - x.repeat(2, 1)).square().sum(1).mean() for _ in range(200)]).mean()

    mixed = displacement(MixedViews(MixingOptions(linear_low=0.6)))
    noisy = displacement(NoisyViews(NoiseOptions(matched=True, linear_low=0.6)))
    assert noisy / mixed == pytest.approx(1, rel=0.03)


def test_the_matched_sigma_is_the_closed_form():
    x = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    # Biased variances 1/4 and 9/4; (1 - 0.9)^2 / 3 x 2 x 2 / 1 x their sum / 2 features.
    assert matched_sigma(x, linear_low=0.9).item() == pytest.approx((0.01 / 3 * 4 * 2.5 / 2) ** 0.5)
    assert matched_sigma(x, linear_low=1.0) == 0


def test_gradients_pass_through():
    x = torch.rand(3, 2).requires_grad_()
    NoisyViews(NoiseOptions(matched=True))(x).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 2))


def test_one_sample_has_no_spread_to_match():
    assert NoisyViews()(torch.rand(1, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="this batch holds one sample: use at least two"):
        NoisyViews(NoiseOptions(matched=True))(torch.rand(1, 3))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"sigma": 0.0}, "sigma must be above 0, got 0.0"), ({"linear_low": 2}, r"linear_low must be in \[0, 1\], got 2")],
)
def test_options_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        NoiseOptions(**wrong)


def _views():
    x = torch.rand(6, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rank, processes = world()
    found = []
    for options in (NoiseOptions(), NoiseOptions(matched=True)):
        torch.manual_seed(5)
        found += NoisyViews(options)(x.chunk(processes)[rank]).chunk(2)
    return found


def test_two_processes_make_the_views_of_one(tmp_path):
    for parts, whole in zip(zip(*run(_views, tmp_path), strict=True), _views(), strict=True):
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-14)
