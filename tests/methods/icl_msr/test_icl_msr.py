from __future__ import annotations

import copy
import os
import signal
from dataclasses import replace

import pytest
import torch
from torch.func import functional_call
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, image_source, mlp
from unconfound.data import Batch, Dataset
from unconfound.functional.distributed import world
from unconfound.functional.interventional import interventional_loss
from unconfound.methods import ICLMSR, SimCLR
from unconfound.methods.icl_msr.meta_gradient import aligned
from unconfound.methods.icl_msr.strata import contexts
from unconfound.methods.simclr import SimCLROptions
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.training.batch_norm import synchronize_batch_norm

HOST = ("projection_features=5",)


def _method(**options):
    torch.manual_seed(0)
    given = {"strata": 3, "host_options": HOST, "virtual_rate": 0.1, "diversity_weight": 0.0, **options}
    return ICLMSR(convnet(), IMAGES, ICLMSROptions(**given))


def _fixed(method, size=6):
    """The method in float64, with the same two views at every call."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(size, 3, 8, 8, generator=generator, dtype=torch.float64)
    views = torch.cat([images, images + 0.2 * torch.rand(size, 3, 8, 8, generator=generator, dtype=torch.float64)])
    method.host.two_views = lambda batch: views
    return method.double(), views


def _meta_gradient(method, size=6):
    method.zero_grad()
    method(image_batch(size), "strata").loss.backward()
    return torch.cat([parameter.grad.flatten().clone() for parameter in method.strata.parameters()])


def _through_the_step(method, views, *, masked=False):
    """Autograd through theta+ = theta - rate * grad L_1, with second derivatives of the host."""
    options, host = method.options, method.host
    weights = {name: weight.detach().requires_grad_() for name, weight in host.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in host.named_buffers()}

    class Comparing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.host = host

        def forward(self, views):
            return self.host.compare(views)

    def compare(weights):
        named = {f"host.{name}": value for name, value in (weights | copy.deepcopy(buffers)).items()}
        return functional_call(Comparing(), named, (views,))

    def adjusted(compared, strata):
        first, second = compared.projections.chunk(2)
        return interventional_loss(first, second, strata, temperature=options.temperature, negatives=options.negatives)

    strata = method.strata(compare(weights).embeddings)
    compared = compare(weights)
    loss = compared.loss + options.weight * adjusted(compared, strata)
    gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    moved = {
        name: weight - float(method.rate) * gradient
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
    judged = compare(moved)
    outer = judged.loss + (adjusted(judged, method.strata(judged.embeddings)) if masked else 0)
    return torch.cat([g.flatten() for g in torch.autograd.grad(outer, list(method.strata.parameters()))])


@pytest.mark.parametrize("form", ["table", "batch-mlp", "sample-mlp"])
@pytest.mark.parametrize("outer", ["plain", "masked"])
def test_the_exact_meta_gradient_is_that_of_autograd_through_the_step(form, outer):
    method, views = _fixed(_method(strata_form=form, outer=outer, weight=0.7))
    found = _meta_gradient(method)
    expected = _through_the_step(method, views, masked=outer == "masked")
    assert expected.abs().max() > 1e-9
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("negatives", ["cross-view", "both-views"])
def test_finite_differences_agree(negatives, monkeypatch):
    # MetaMask's step of 0.01 crosses kinks of so small a network.
    monkeypatch.setattr("unconfound.methods.icl_msr.icl_msr._DIFFERENCE", 1e-6)
    method, _ = _fixed(_method(negatives=negatives))
    exact = _meta_gradient(method)
    method.options = replace(method.options, meta="finite-difference")
    found = _meta_gradient(method)
    assert (found - exact).norm() < 1e-4 * exact.norm()


def test_alignment_is_the_limit_of_small_steps():
    method, _ = _fixed(_method())
    errors = []
    for rate in (1e-4, 1e-5, 1e-6):
        method.rate.fill_(rate)
        method.options = replace(method.options, meta="exact")
        exact = _meta_gradient(method) / rate
        method.options = replace(method.options, meta="alignment")
        errors.append(float((_meta_gradient(method) / rate - exact).norm() / exact.norm()))
    assert errors[2] < 0.02
    assert errors[2] < 0.3 * errors[1]


def test_the_toy_of_the_spec_has_the_known_answer():
    rate, weight, theta, phi = 0.1, 0.7, 1.3, torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    ahead = theta - rate * (theta + weight * (theta - phi.item()))
    values = torch.tensor([[theta], [theta]], dtype=torch.float64)
    change = torch.tensor([[ahead], [ahead]], dtype=torch.float64)
    inner = aligned(lambda values: ((values - phi) ** 2).sum() / 4, values, change)
    (-rate * weight * inner).backward()
    assert float(phi.grad) == pytest.approx(0.07749)


def test_without_weight_nothing_but_diversity_moves_strata():
    method, _ = _fixed(_method(weight=0.0))
    assert _meta_gradient(method).abs().max() == 0
    method.options = replace(method.options, diversity_weight=0.1)
    assert _meta_gradient(method).abs().max() > 0


def test_equal_strata_get_equal_gradients_and_noise_breaks_the_symmetry():
    method, _ = _fixed(_method())
    with torch.no_grad():
        method.strata.logits.copy_(method.strata.logits[:1].clone().expand(3, -1))
    rows = _meta_gradient(method).view(3, -1)
    torch.testing.assert_close(rows[0], rows[1])
    with torch.no_grad():
        method.strata.logits[0] += 0.1 * torch.randn(5, dtype=torch.float64)
    rows = _meta_gradient(method).view(3, -1)
    assert not torch.allclose(rows[0], rows[1], rtol=1e-3)


def test_the_first_stage_is_the_host_s_loss_plus_the_weighted_interventional_one():
    method, views = _fixed(_method(weight=0.3))
    step = method(image_batch())
    compared = method.host.compare(views)
    first, second = compared.projections.chunk(2)
    adjusted = interventional_loss(first, second, method.strata(compared.embeddings))
    torch.testing.assert_close(step.loss, compared.loss + 0.3 * adjusted)
    torch.testing.assert_close(step.scalars["interventional_loss"], adjusted.detach())


@pytest.mark.parametrize("meta", ["exact", "finite-difference", "alignment", "direct"])
@pytest.mark.parametrize("host", ["simclr", "byol", "barlow-twins", "moco", "ressl", "swav", "dino", "lejepa"])
def test_each_stage_leaves_the_other_s_numbers_as_they_are(meta, host):
    torch.manual_seed(0)
    method = ICLMSR(convnet(), IMAGES, ICLMSROptions(host=host, meta=meta, virtual_rate=0.1))
    before = copy.deepcopy(method.host.state_dict())
    method(image_batch(8), "strata").loss.backward()
    assert all(parameter.grad is None for parameter in method.host.parameters())
    assert all(torch.equal(value, before[name]) for name, value in method.host.state_dict().items())
    assert any(parameter.grad.any() for parameter in method.strata.parameters())
    method.zero_grad()
    strata = copy.deepcopy(method.strata.state_dict())
    method(image_batch(8), "train").loss.backward()
    assert all(parameter.grad is None for parameter in method.strata.parameters())
    assert all(torch.equal(value, strata[name]) for name, value in method.strata.state_dict().items())


def test_phases_follow_the_schedule():
    method = _method()
    first, second = method.phases()
    assert (first.name, second.name, second.own_pass, second.every) == ("train", "strata", True, 1)
    assert set(first.parameters) == {weight for weight in method.host.parameters() if weight.requires_grad}
    assert set(second.parameters) == set(method.strata.parameters())
    interleaved = _method(schedule="interleaved", meta_every=4, strata_learning_rate=0.5).phases()[1]
    assert (interleaved.own_pass, interleaved.every, interleaved.learning_rate) == (False, 4, 0.5)
    assert len(_method(meta="frozen").phases()) == 1


def test_the_host_hears_of_its_own_updates_alone():
    method = _method(virtual_rate=None)
    told = []
    method.host.before_update = lambda phase, **told_of: told.append((phase, told_of))
    method.host.after_update = lambda: told.append("after")
    method.before_update("train", done=0.5, learning_rate=0.25)
    method.after_update()
    method.before_update("strata", done=0.5, learning_rate=0.125)
    method.after_update()
    assert told == [("train", {"done": 0.5, "learning_rate": 0.25}), "after"]
    assert float(method.rate) == 0.25


def test_another_batch_judges_halves_of_the_batch():
    method, views = _fixed(_method(meta_batch="other"), size=8)
    first, second = views.chunk(2)
    seen = []
    compare = method.host.compare
    method.host.compare = lambda views: seen.append(views) or compare(views)
    method(image_batch(8), "strata")
    inner, outer = torch.cat([first[:4], second[:4]]), torch.cat([first[4:], second[4:]])
    assert [torch.equal(views, inner) for views in seen] == [True, False, True]
    assert torch.equal(seen[1], outer)
    with pytest.raises(ValueError, match="meta_batch other halves the batch, and 3 samples are too few"):
        ICLMSR(convnet(), IMAGES, ICLMSROptions(meta_batch="other"))(image_batch(3), "strata")


def test_backgrounds_are_exchanged_on_request():
    torch.manual_seed(0)
    method = ICLMSR(convnet(), IMAGES, ICLMSROptions(exchange_backgrounds=True, virtual_rate=0.1))
    batch = image_batch(4)
    with pytest.raises(ValueError, match="exchange_backgrounds needs images with masks of their foregrounds"):
        method(batch, "strata")
    masks = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    masks[:, :, 2:6, 2:6] = True
    seen = []
    two_views = method.host.two_views
    method.host.two_views = lambda batch: seen.append(batch) or two_views(batch)
    method(Batch(batch.inputs, batch.index, batch.labels, None, masks), "strata")
    images, exchanged = batch.inputs / 255, seen[1].inputs
    torch.testing.assert_close(exchanged[:, :, 2:6, 2:6], images[:, :, 2:6, 2:6])
    torch.testing.assert_close(exchanged[1, :, 0], images[0, :, 0])
    assert not torch.equal(exchanged[1, :, 0], images[1, :, 0])


def test_strata_on_the_embedding_are_as_wide_as_it():
    method = _method(strata_on="embedding")
    assert method.strata.logits.shape == (3, method.encoder.features)
    method(image_batch(), "strata").loss.backward()
    assert method.strata.logits.grad.any()


def test_an_alarm_tells_when_strata_have_become_one():
    method = _method()
    method(image_batch())
    assert method.alarm() is None
    with torch.no_grad():
        method.strata.logits.copy_(method.strata.logits[:1].clone().expand(3, -1))
    method(image_batch())
    assert method.alarm().startswith("strata have become one (mean cosine 1.000)")
    single = _method(strata=1)
    single(image_batch())
    assert single.alarm() is None


@pytest.mark.parametrize("meta", ["exact", "finite-difference", "alignment"])
def test_half_precision_stays_near(meta):
    # A long step on so small a network is chaotic in any precision.
    method = _method(meta=meta, virtual_rate=1e-4)
    torch.manual_seed(2)
    exact = _meta_gradient(method)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        loss = method(image_batch(), "strata").loss
    method.zero_grad()
    loss.backward()
    half = method.strata.logits.grad.flatten()
    assert torch.cosine_similarity(half, exact, dim=0) > (0.5 if meta == "finite-difference" else 0.9)


def _share(meta, form):
    rank, processes = world()
    torch.manual_seed(0)
    host = SimCLR(convnet(), IMAGES, SimCLROptions(projection_features=5))
    options = ICLMSROptions(strata=3, meta=meta, strata_form=form, virtual_rate=0.1)
    method = ICLMSR(host.encoder, IMAGES, options, host=host)
    method, views = _fixed(method, 6)
    if processes > 1:
        synchronize_batch_norm(method, torch.device("cpu"))
        views = torch.cat([part.chunk(2)[rank] for part in views.chunk(2)])
        method.host.two_views = lambda batch: views
    gradients = []
    for phase, parameters in (("train", method.host.parameters()), ("strata", method.strata.parameters())):
        loss = method(image_batch(), phase).loss
        flat = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(parameters))])
        if processes > 1:
            torch.distributed.all_reduce(flat)
        gradients.append(flat / processes)
    return gradients


@pytest.mark.parametrize(
    ("meta", "form"), [("exact", "table"), ("exact", "sample-mlp"), ("finite-difference", "batch-mlp")]
)
def test_two_processes_are_as_one(meta, form, tmp_path):
    torch.set_default_dtype(torch.float32)
    expected = _share(meta, form)
    for found in run(_share, tmp_path, meta, form):
        torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-9)


def test_host_options_are_words():
    method = ICLMSR(convnet(), IMAGES, ICLMSROptions(host_options=("temperature=0.2", "crop-scale=(0.5, 1.0)")))
    assert (method.host.options.temperature, method.host.options.crop_scale) == (0.2, (0.5, 1.0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"host": "simclrr"}, "unknown host 'simclrr': .*simclr"),
        ({"host": "supervised"}, "unknown host 'supervised'"),
        ({"host_options": ("temperature",)}, "--host-options takes NAME=VALUE, got 'temperature'"),
        ({"host_options": ("temprature=0.2",)}, "unknown option 'temprature' of simclr: .*temperature"),
        ({"host_options": ("temperature=-1",)}, "temperature must be above 0, got -1"),
        ({"weight": -1.0}, "weight must be at least 0, got -1.0"),
        ({"strata": 0}, "strata must be at least 1, got 0"),
        ({"meta": "none"}, "unknown meta 'none'"),
        ({"virtual_rate": 0.0}, "virtual_rate must be above 0, got 0.0"),
    ],
)
def test_mistakes_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        ICLMSR(convnet(), IMAGES, ICLMSROptions(**wrong))


@pytest.mark.parametrize("schedule", ["epoch", "interleaved"])
def test_a_stopped_run_goes_on_bit_for_bit(schedule, tmp_path):
    def method():
        torch.manual_seed(0)
        given = ICLMSROptions(host="byol", strata=3, schedule=schedule, meta_every=2)
        return ICLMSR(convnet(), IMAGES, given)

    source = image_source(48)
    dataset = Dataset(train=source, tests={"test": source}, labelled=source)
    accumulate = 2 if schedule == "epoch" else 1
    training = TrainingOptions(epochs=2, batch_size=8, accumulate=accumulate, device="cpu", precision="32", log_every=1)
    whole, stopped = method(), method()
    fit(whole, dataset, out=tmp_path / "whole", training=training)
    forward, calls = stopped.forward, []

    def interrupted(batch, phase="train"):
        calls.append(phase)
        if len(calls) == 9:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(batch, phase)

    stopped.forward = interrupted
    with pytest.raises(TrainingStopped):
        fit(stopped, dataset, out=tmp_path / "stopped", training=training)
    again = method()
    fit(again, dataset, out=tmp_path / "stopped", training=training, resume=True)
    assert set(calls) <= {"train", "strata"}
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not torch.equal(whole.strata.logits, method().strata.logits)
    columns = set((tmp_path / "whole" / "metrics.csv").read_text().splitlines()[0].split(","))
    assert {"host_loss", "interventional_loss", "strata_cosine", "judged_loss", "strata_diversity"} <= columns


def test_contexts_are_set_from_clusters_between_epochs_and_not_learnt():
    method = _method(strata_form="contexts")
    assert [phase.name for phase in method.phases()] == ["train"]
    before = copy.deepcopy(method.host.state_dict())
    method.before_epoch(0, image_source(60))
    assert all(torch.equal(value, before[name]) for name, value in method.host.state_dict().items())
    first = method.strata.logits.clone()
    assert (first.std(0) > 0).all()
    torch.testing.assert_close(first.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    method.before_epoch(1, image_source(60))
    assert torch.equal(method.strata.logits, first)
    with pytest.raises(ValueError, match="3 contexts were asked for of 2 samples: use fewer --strata"):
        method.before_epoch(0, image_source(2))


def test_a_context_weights_the_dimensions_in_which_its_cluster_stands_out():
    generator = torch.Generator().manual_seed(0)
    rows = torch.eye(6)[torch.arange(90) % 3] + 0.01 * torch.randn(90, 6, generator=generator)
    strata = contexts(rows, 3)
    assert sorted(strata.argmax(1).tolist()) == [0, 1, 2]
    assert (strata[:, 3:] < 0).all()


def test_dacl_is_a_host_for_tables():
    method = ICLMSR(mlp(), ROWS, ICLMSROptions(host="dacl", virtual_rate=0.01))
    rows = Batch(torch.rand(8, 5), torch.arange(8))
    method(rows).loss.backward()
    method(rows, "strata").loss.backward()
    assert method.strata.logits.grad.any()


@pytest.mark.parametrize("meta", ["exact", "finite-difference"])
def test_where_stages_share_a_batch_the_second_goes_on_from_the_first(meta):
    method, _ = _fixed(_method(meta=meta, schedule="interleaved", virtual_rate=1e-4))
    alone = copy.deepcopy(method)
    alone.host.two_views = method.host.two_views
    expected = _meta_gradient(alone)
    calls = []
    compare = method.host.compare
    method.host.compare = lambda views: calls.append(views) or compare(views)
    optimizer = torch.optim.SGD(method.phases()[0].parameters, lr=0.1)
    method.before_update("train", done=0.0, learning_rate=0.1)
    method(image_batch()).loss.backward()
    optimizer.step()
    method.after_update()
    method.before_update("strata", done=0.0, learning_rate=0.1)
    found = _meta_gradient(method)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
    assert len(calls) == 1 + (2 if meta == "exact" else 3)
    method.after_update()
    assert method.stage is None


def test_an_update_from_several_batches_is_judged_anew():
    method = _method(schedule="interleaved")
    method.before_update("train", done=0.0, learning_rate=0.1)
    for seed in (0, 1):
        method(image_batch(seed=seed)).loss.backward()
    method.after_update()
    assert method.stage is None
    method(image_batch(), "strata").loss.backward()
