from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from two_processes import run

from methods.toy import IMAGES, convnet, grouped_source, image_batch, image_source
from unconfound.data import MemorySource, Schema
from unconfound.encoders import Gated, Projected, build_encoder
from unconfound.functional.distributed import world
from unconfound.methods import DCML
from unconfound.methods.dcml.environment_learning import sample_vectors
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.training.sample_table import write_samples

SETTINGS = {"scale": 7.0, "margin": 0.3, "features": 5, "augment": False}


def _method(*, samples=24, schema=IMAGES, **options):
    torch.manual_seed(0)
    method = DCML(convnet(schema), schema, DCMLOptions(**SETTINGS | options)).double()
    generator = torch.Generator().manual_seed(1)
    method.environment_logits = torch.randn(samples, method.environments, generator=generator).double()
    return method


def _doubled(batch):
    return replace(batch, inputs=batch.inputs.double() / 255)


def _cosface(embeddings, proxies, labels):
    cosines = F.normalize(embeddings, dim=1) @ F.normalize(proxies, dim=1).T
    return SETTINGS["scale"] * (cosines - SETTINGS["margin"] * F.one_hot(labels, len(proxies)).double())


def _gated(attention, maps, weights=None):
    spatial, channel = attention.gates(maps, weights)
    return [maps * places * channels for places, channels in zip(spatial, channel, strict=True)]


def _expected(method, batch):
    """Both forms, by double backward through dummies, one environment after the other."""
    options, labels, encoder = method.options, batch.labels, method.encoder
    gated, projection = encoder.wrapper(Gated), encoder.wrapper(Projected).projection
    maps = gated.maps(batch.inputs)
    omega = torch.softmax(method.environment_logits[batch.index], 1)
    code, total = options.form == "code", 0.0
    factor = 1 / method.environments if code else 1.0
    for environment, lit in enumerate(_gated(gated.attention, maps)):
        own = omega[:, environment] / omega[:, environment].sum()
        embeddings = projection(lit.mean((2, 3)))
        dummy = torch.ones(3 if code else (), dtype=torch.float64, requires_grad=True)
        logits = dummy * _cosface(embeddings, method.loss.proxies, labels)
        risk = (own * F.cross_entropy(logits, labels, reduction="none")).sum()
        (slope,) = torch.autograd.grad(risk, dummy, create_graph=True)
        apart = 0.0
        if code:
            for label in labels.unique():
                rows = labels == label
                centre = embeddings[rows].mean(0).detach()
                apart = apart + (own[rows] * (embeddings[rows] - centre).square().sum(1)).sum()
            total = total + factor * options.consistency_weight * apart
        total = total + factor * (risk + options.irm_weight * slope.square().sum())
    difference = 0.0
    weights = list(gated.attention.weights.values())
    for weight in weights:
        for each in weight:
            if code:
                difference = difference + ((each - weight.mean(0)).norm() / each.abs().sum()).square() / (
                    len(weights) * len(weight)
                )
            else:
                difference = difference + (each - weight.mean(0)).square().sum()
    total = total + options.attention_weight * difference
    if code:
        (lit,) = _gated(method.extra_attention, maps)
        proxies = method.extra_loss.proxies
    else:
        (lit,) = _gated(gated.attention, maps, gated.attention.mean_weights())
        proxies = method.loss.proxies
    logits = _cosface(projection(lit.mean((2, 3))), proxies, labels)
    return total + F.cross_entropy(logits, labels)


@pytest.mark.parametrize("options", [{"form": "code"}, {"form": "paper", "consistency_weight": 0.0}])
def test_the_loss_and_its_gradient_are_those_of_dummies_that_are_differentiated_twice(options):
    method = _method(irm_weight=0.01, attention_weight=0.5, **options).eval()
    batch = _doubled(image_batch(12))
    step, expected = method(batch), _expected(method, batch)
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-9)
    parameters = [each for each in method.parameters() if each.requires_grad]
    ours = torch.autograd.grad(step.loss, parameters, allow_unused=True)
    theirs = torch.autograd.grad(expected, parameters, allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        if other is not None:
            torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-9)


def test_the_papers_consistency_is_of_gated_maps():
    method = _method(form="paper", irm_weight=0.0, attention_weight=0.0, extra_branch=False).eval()
    batch = _doubled(image_batch(12))
    before = method(batch).scalars["consistency"]
    assert before > 0
    one = replace(batch, labels=torch.arange(12) % 3, inputs=batch.inputs[:3].repeat(4, 1, 1, 1))
    assert method(one).scalars["consistency"].item() == pytest.approx(0, abs=1e-12)


def test_equal_gates_and_weights_make_equal_environments():
    method = _method(irm_weight=0.0, consistency_weight=0.0, extra_branch=False).eval()
    with torch.no_grad():
        for weight in method.encoder.wrapper(Gated).attention.weights.values():
            weight.copy_(weight[:1].expand_as(weight))
    method.environment_logits.zero_()
    batch = _doubled(image_batch(12))
    step = method(batch)
    logits = _cosface(method.encoder(batch.inputs), method.loss.proxies, batch.labels)
    assert step.loss.item() == pytest.approx(F.cross_entropy(logits, batch.labels).item())
    assert step.scalars["attention"].item() == 0


@pytest.mark.parametrize("form", ["code", "paper"])
def test_environments_may_change_places(form):
    method = _method(form=form, environments=3).eval()
    batch = _doubled(image_batch(12))
    before = method(batch).loss.item()
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        for weight in method.encoder.wrapper(Gated).attention.weights.values():
            weight.copy_(weight[order].clone())
    method.environment_logits = method.environment_logits[:, order]
    assert method(batch).loss.item() == pytest.approx(before)


@pytest.mark.parametrize("loss", ["cosface", "arcface", "normalized-softmax", "proxy-nca", "soft-triple"])
@pytest.mark.parametrize("per_class", [True, False])
def test_vectors_are_the_gradients_by_dummies_of_single_samples(loss, per_class):
    torch.manual_seed(0)
    options = DCMLOptions(loss=loss, features=5, augment=False)
    method = DCML(convnet(), IMAGES, options).double().train()
    batch = image_batch(9)
    source = MemorySource("toys", IMAGES, batch.inputs.double() / 255, batch.labels)
    state = {name: value.clone() for name, value in method.state_dict().items()}
    vectors = sample_vectors(method.encoder, method.loss, source, per_class=per_class)
    method.eval()
    for place in range(9):
        single, label = source.inputs[place : place + 1], source.labels[place : place + 1]
        for environment, gated in enumerate(
            _gated(method.encoder.wrapper(Gated).attention, method.encoder.wrapper(Gated).maps(single))
        ):
            dummies = [
                torch.ones(*shape, dtype=torch.float64, requires_grad=True)
                for shape in ((3,) if per_class else (1,), (1, gated.shape[1], 1, 1), (1, 1, *gated.shape[2:]))
            ]
            embeddings = method.encoder.wrapper(Projected).projection((gated * dummies[1] * dummies[2]).mean((2, 3)))
            logits = dummies[0] * method.loss.logits(embeddings, label)
            found = torch.autograd.grad(F.cross_entropy(logits, label), dummies)
            expected = torch.cat([each.flatten() for each in found])
            torch.testing.assert_close(vectors[place, environment].double(), expected, rtol=1e-4, atol=1e-5)
    for name, value in method.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize("options", [{}, {"solver": "frank-wolfe", "normalization": "samples"}, {"form": "paper"}])
def test_learning_environments_leaves_the_model_and_training_leaves_the_environments(options):
    method = _method(samples=0, **options).float()
    source = image_source(24)
    state = {name: value.clone() for name, value in method.state_dict().items() if "environment" not in name}
    method.before_epoch(0, source)
    assert method.environment_logits.shape == (24, 2)
    assert method.environment_objective > 0
    assert method.training
    for name, value in state.items():
        assert torch.equal(value, method.state_dict()[name]), name
    learnt = method.environment_logits.clone()
    method(image_batch(12)).loss.backward()
    method.before_epoch(1, source)
    assert torch.equal(method.environment_logits, learnt)
    method.before_epoch(method.options.relearn_every, source)
    assert not torch.equal(method.environment_logits, learnt)
    weights = method.of_samples()
    torch.testing.assert_close(sum(weights.values()), torch.ones(24))


def test_inference_needs_neither_proxies_nor_the_extra_branch(tmp_path):
    method = _method().float().eval()
    images = image_batch(4).inputs
    pooled = method.encoder.wrapper(Gated).attention(
        method.encoder.wrapper(Gated).maps(images), method.encoder.wrapper(Gated).attention.mean_weights()
    )
    torch.testing.assert_close(method.encoder(images), method.encoder.wrapper(Projected).projection(pooled.squeeze(0)))
    assert not [name for name in method.encoder.state_dict() if "prox" in name or "extra" in name]


def test_controls_set_the_environments():
    groups = grouped_source(24)
    schema = replace(groups.schema, groups=("left", "right", "up"))
    source = replace(groups, schema=schema)
    method = _method(schema=schema, environments_from="groups", samples=0)
    assert method.needs_groups
    method.before_epoch(0, source)
    assert torch.equal(method.environment_logits.argmax(1), source.groups)
    method = _method(environments_from="random", environments=3, samples=0)
    method.before_epoch(0, image_source(24))
    assert method.environment_logits.argmax(1).bincount().tolist() == [8, 8, 8]
    method = _method(environments_from="scenes", samples=0)
    with pytest.raises(ValueError, match="toys does not say on which scene a sample stands"):
        method.before_epoch(0, image_source(24))
    scenes = torch.zeros(24, dtype=torch.long)
    method.before_epoch(0, replace(image_source(24), scenes=scenes))
    assert torch.equal(method.environment_logits.argmax(1), (torch.arange(24) % 3 != 0).long())


def test_environments_of_an_earlier_run_are_taken_as_they_are(tmp_path):
    method, source, path = _method(), image_source(24), tmp_path / "samples.parquet"
    write_samples(path, source, method.of_samples())
    again = _method(environments_file=path, samples=0)
    for epoch in (0, again.options.relearn_every):
        again.before_epoch(epoch, source)
        weights = torch.softmax(again.environment_logits, 1)
        torch.testing.assert_close(weights, torch.softmax(method.environment_logits, 1), atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match="holds 2 environments of 24 samples, and 2 of the 12 of toys are needed"):
        _method(environments_file=path, samples=0).before_epoch(0, image_source(12))
    with pytest.raises(FileNotFoundError, match=r"samples\.parquet of a finished run"):
        _method(environments_file=tmp_path / "no.parquet", samples=0).before_epoch(0, source)
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="is damaged"):
        _method(environments_file=path, samples=0).before_epoch(0, source)


def test_one_environment_is_the_loss_with_gates_and_batch_norm():
    method = _method(environments=1, irm_weight=0.0, consistency_weight=0.0, extra_branch=False, samples=0)
    method.before_epoch(0, image_source(24))
    assert not len(method.environment_logits)
    batch = _doubled(image_batch(12))
    step = method(batch)
    maps = method.encoder.wrapper(Gated).maps(batch.inputs)
    embeddings = method.encoder.wrapper(Projected).projection(method.encoder.wrapper(Gated).attention(maps).squeeze(0))
    expected = F.cross_entropy(_cosface(embeddings, method.loss.proxies, batch.labels), batch.labels)
    assert step.loss.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "multi-similarity", "nt-xent"])
def test_losses_of_pairs_have_environments_too(loss):
    torch.manual_seed(0)
    method = DCML(convnet(), IMAGES, DCMLOptions(loss=loss, features=5, augment=False))
    source = image_source(24)
    method.before_epoch(0, source)
    assert method.environment_logits.shape == (24, 2)
    step = method(image_batch(12))
    step.loss.backward()
    assert step.loss.isfinite()
    assert all(each.grad is not None for each in method.encoder.wrapper(Gated).network.parameters())


def test_state_is_saved_with_its_size():
    method, fresh = _method(), _method(samples=0)
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.environment_logits, method.environment_logits)


def test_frozen_batch_norm_stays():
    method = _method(freeze_batch_norm=True).train()
    state = {
        name: value.clone()
        for name, value in method.encoder.wrapper(Gated).network.state_dict().items()
        if "running" in name
    }
    method(_doubled(image_batch(12)))
    for name, value in state.items():
        assert torch.equal(value, method.encoder.wrapper(Gated).network.state_dict()[name])
    moved = {id(each) for group in method.phases()[0].parameters for each in group["params"]}
    norms = [
        module for module in method.encoder.wrapper(Gated).network.modules() if isinstance(module, torch.nn.BatchNorm2d)
    ]
    assert not moved & {id(each) for norm in norms for each in norm.parameters()}


def test_every_parameter_moves_once_and_proxies_at_their_own_rate():
    method = _method(proxy_learning_rate=0.5, attention_learning_rate=0.25)
    groups = method.phases()[0].parameters
    moved = [id(each) for group in groups for each in group["params"]]
    assert sorted(moved) == sorted(id(each) for each in method.parameters())
    rates = {id(each): group.get("lr") for group in groups for each in group["params"]}
    assert rates[id(method.loss.proxies)] == rates[id(method.extra_loss.proxies)] == 0.5
    assert rates[id(method.extra_attention.weights["spatial_in"])] == 0.25
    assert rates[id(method.encoder.wrapper(Projected).projection[-1].weight)] is None


def test_tiny_environments_raise_an_alarm():
    method = _method()
    assert method.alarm() is None
    method.environment_logits[:, 0] = 30.0
    assert method.alarm().startswith("environments: the smallest holds 0.00% of the training samples")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DCMLOptions(environments=0), "environments must be at least 1, got 0"),
        (lambda: DCMLOptions(form="poster"), "unknown form 'poster'"),
        (lambda: DCMLOptions(smallest_share=0.5), "below 1 / environments = 0.5, got 0.5"),
        (lambda: DCMLOptions(solver="frank-wolfe"), "give --normalization samples"),
        (lambda: DCMLOptions(loss="cosfaec"), "unknown loss 'cosfaec'"),
        (lambda: _method(loss="fastap", scale=None, margin=None), "fastap belongs to a batch: take cosface"),
        (lambda: _method(schema=Schema("images", (3, 8, 8), ("a",))), "dcml needs at least two classes"),
        (
            lambda: DCML(build_encoder("mlp", Schema("tables", (5,), ("a", "b"))), Schema("tables", (5,), ("a", "b"))),
            "dcml gates feature maps of images, the data are tables: take metric",
        ),
        (lambda: _method(samples=3)(_doubled(image_batch(12))), "knows the environments of 3 samples"),
    ],
)
def test_a_mistake_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _gradient(inputs, labels, index):
    method = _method()
    rank, processes = world()
    own = slice(rank * len(labels) // processes, (rank + 1) * len(labels) // processes)
    batch = replace(_doubled(image_batch(12)), inputs=inputs[own], labels=labels[own], index=index[own])
    method.eval()
    loss = method(batch).loss
    loss.backward()
    return [each.grad for each in method.parameters() if each.grad is not None]


def test_two_processes_equal_one(tmp_path):
    batch = _doubled(image_batch(12))
    arguments = (batch.inputs, batch.labels, batch.index)
    expected = _gradient(*arguments)
    first, second = run(_gradient, tmp_path, *arguments)
    for one, left, right in zip(expected, first, second, strict=True):
        torch.testing.assert_close((left + right) / 2, one, rtol=1e-8, atol=1e-10)
