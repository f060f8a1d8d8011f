"""ICL-MSR over strata that are backgrounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from two_processes import run

from methods.toy import IMAGES, convnet, image_batch
from unconfound.functional.background_adjustment import background_adjusted_loss
from unconfound.functional.distributed import gather, world
from unconfound.methods import ICLMSR, METHODS
from unconfound.methods.parts.two_views import TwoViewMethod
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.training.batch_norm import synchronize_batch_norm
from unconfound.views.backgrounds import exchange_backgrounds

# SCARF makes views of tables alone.
HOSTS = sorted(name for name, kind in METHODS.items() if issubclass(kind, TwoViewMethod) and name != "scarf")


def _method(host="simclr", *, strata=2, **options):
    torch.manual_seed(0)
    given = {"strata_form": "backgrounds", "strata": strata, "host_options": ("projection_features=5",), **options}
    return ICLMSR(convnet(), IMAGES, ICLMSROptions(host=host, **given))


def _masked(size=8):
    masks = torch.zeros(size, 1, 8, 8, dtype=torch.bool)
    masks[:, :, 2:6, 3:7] = True
    return replace(image_batch(size), masks=masks)


def _without_augmentation(method):
    """The host is shown images as they are, so that views are known."""
    method.host.views = lambda images: torch.cat([images, images]).to(torch.float64)
    return method.double()


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("on", ["projection", "embedding"])
def test_the_loss_is_the_host_s_plus_the_adjusted_one(count, on):
    method = _without_augmentation(_method(strata=count, strata_on=on, weight=0.3, temperature=0.2))
    batch = replace(_masked(), inputs=_masked().inputs / 255)
    torch.manual_seed(4)
    step = method(batch)

    torch.manual_seed(4)
    compared = method.host.compare(method.host.two_views(batch))
    part = "projections" if on == "projection" else "embeddings"
    seen = []
    for _ in range(-(-count // 2)):
        pictures = [exchange_backgrounds(batch.inputs, batch.masks).double() for _ in range(2)]
        seen += getattr(method.host.compare(torch.cat(pictures)), part).chunk(2)
    adjusted = background_adjusted_loss(
        *getattr(compared, part).chunk(2), torch.stack(seen[:count], 1), temperature=0.2
    )
    torch.testing.assert_close(step.loss, compared.loss + 0.3 * adjusted)
    torch.testing.assert_close(step.scalars["interventional_loss"], adjusted.detach())


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_takes_it_and_learns_through_the_backgrounds(host):
    method = _method(host)
    assert [phase.name for phase in method.phases()] == ["train"]
    step = method(_masked())
    assert step.loss.isfinite()
    assert step.scalars["interventional_loss"] > 0
    assert method.alarm() is None
    gradients = torch.autograd.grad(step.loss, list(method.encoder.parameters()), allow_unused=True)
    assert any(each is not None and each.abs().max() > 0 for each in gradients)


def test_pictures_on_other_backgrounds_have_a_gradient_and_change_no_statistics():
    method = _method(weight=1.0)
    at = {name: value.clone() for name, value in method.named_buffers()}
    batch = _masked()
    compared = method.host.compare(method.host.two_views(batch))
    after = {name: value.clone() for name, value in method.named_buffers()}
    adjusted = method._adjusted_over_backgrounds(batch, compared)
    assert any(not torch.equal(after[name], value) for name, value in at.items())
    assert all(torch.equal(value, after[name]) for name, value in method.named_buffers())
    # Through the positives alone, too.
    alone = method._adjusted_over_backgrounds(batch, replace(compared, projections=compared.projections.detach()))
    for loss in (adjusted, alone):
        gradients = torch.autograd.grad(loss, list(method.encoder.parameters()), allow_unused=True, retain_graph=True)
        assert any(each is not None and each.abs().max() > 0 for each in gradients)


def test_masks_are_asked_for():
    with pytest.raises(ValueError, match="strata_form backgrounds needs images with masks of their foregrounds: name"):
        _method()(image_batch())


def test_a_batch_without_any_foreground_is_contrasted_as_it_is():
    batch = replace(_masked(), masks=torch.zeros(8, 1, 8, 8, dtype=torch.bool))
    assert _method()(batch).loss.isfinite()


def _share(host):
    rank, processes = world()
    method = _without_augmentation(_method(host, strata=3))
    if processes > 1:
        synchronize_batch_norm(method, torch.device("cpu"))
    batch = _masked()
    rows = slice(rank * 8 // processes, (rank + 1) * 8 // processes)
    torch.manual_seed(7)
    loss = method(
        replace(batch, inputs=batch.inputs[rows] / 255.0, index=batch.index[rows], masks=batch.masks[rows])
    ).loss
    parameters = [each for each in method.host.parameters() if each.requires_grad]
    flat = torch.cat([each.flatten() for each in torch.autograd.grad(loss, parameters)])
    return gather(flat[None]).mean(0)


def test_two_processes_are_as_one(tmp_path):
    expected = _share("simclr")
    for found in run(_share, tmp_path, "simclr"):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
