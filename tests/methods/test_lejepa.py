from __future__ import annotations

import copy

import pytest
import torch

from methods.toy import IMAGES, convnet, image_batch
from unconfound.methods import LeJEPA
from unconfound.options.methods.multi_crop import LeJEPAOptions


def _method(**options):
    torch.manual_seed(0)
    small = {"projection_features": 5, "hidden_features": 12, "slices": 7, "local_crops": 3, "local_size": 4}
    return LeJEPA(convnet(), IMAGES, LeJEPAOptions(**small | options))


def _statistic(column):
    """The paper's listing, in float64."""
    points = torch.linspace(-5, 5, 17, dtype=torch.float64)
    normal = torch.exp(-points.square() / 2)
    own = torch.exp(1j * column[:, None] * points).mean(0)
    return len(column) * torch.trapezoid((own - normal).abs().square() * normal, points)


@pytest.mark.parametrize("predicted", ["global", "all"])
def test_the_loss_is_the_trade_off_of_prediction_and_normality(predicted):
    method = _method(trade_off=0.3, predicted=predicted)
    sizes = method.all_views(image_batch(6))
    compared = copy.deepcopy(method).compare(*sizes)
    views = method.head(torch.cat([method.encoder(size) for size in sizes])).detach().double().unflatten(0, (5, 6))
    mean = views.mean(0) if predicted == "all" else (views[0] + views[1]) / 2
    prediction = torch.stack([(mean - view).square().mean() for view in views]).mean()
    directions = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    directions = (directions / directions.norm(dim=0)).double()
    apart = torch.stack([_statistic(view @ each) for view in views for each in directions.T]).mean()
    assert compared.loss.item() == pytest.approx(float(0.7 * prediction + 0.3 * apart), rel=1e-4)
    assert compared.scalars["prediction"].item() == pytest.approx(float(prediction), rel=1e-4)
    assert compared.scalars["sigreg"].item() == pytest.approx(float(apart), rel=1e-4)
    torch.testing.assert_close(compared.projections.double(), views[:2].flatten(0, 1))


def test_directions_are_drawn_anew_for_each_update_and_go_on_where_a_run_does():
    method, other = _method(), _method()
    views = method.all_views(image_batch(6))

    def apart(method):
        return copy.deepcopy(method).compare(*views).scalars["sigreg"].item()

    first = apart(method)
    assert apart(method) == first
    method.after_update()
    second = apart(method)
    assert second != first
    other.load_state_dict(method.state_dict())
    assert apart(other) == second


def test_the_weight_of_one_term_alone_is_that_term():
    views = _method().all_views(image_batch(6))
    for trade_off, name in ((0.0, "prediction"), (1.0, "sigreg")):
        compared = _method(trade_off=trade_off).compare(*views)
        torch.testing.assert_close(compared.loss.detach(), compared.scalars[name])


def test_equal_projections_are_no_way_to_a_low_loss():
    method = _method(projection_layers=1)
    torch.nn.init.zeros_(method.head[0].weight)
    compared = method.compare(*method.all_views(image_batch(64)))
    assert compared.scalars["prediction"].item() == 0
    assert compared.scalars["sigreg"].item() == pytest.approx(0.41 * 64, rel=0.01)


def test_an_even_number_of_points_is_refused():
    with pytest.raises(ValueError, match="points must be odd, so that 0 is one of them, got 16"):
        LeJEPAOptions(points=16)
