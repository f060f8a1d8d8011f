"""What all methods have in common that compare two views of each sample."""

from __future__ import annotations

import copy

import jaxtyping
import pytest
import torch
from torch import nn
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, image_source, mlp
from methods.toy_training import learnt, train
from unconfound.data import Batch, Dataset
from unconfound.functional.distributed import world
from unconfound.methods import METHODS
from unconfound.methods.parts.two_views import TwoViewMethod
from unconfound.training import TrainingOptions, fit
from unconfound.training.batch_norm import synchronize_batch_norm

NAMES = [name for name, kind in METHODS.items() if issubclass(kind, TwoViewMethod)]
# Form -> method and small options.
FORMS = {
    "simclr": ("simclr", {"projection_features": 5}),
    "large-margin": ("large-margin", {"projection_features": 5}),
    "dacl": ("dacl", {"projection_features": 5}),
    "barlow-twins": ("barlow-twins", {"hidden_features": 6, "projection_features": 5}),
    "vicreg": ("vicreg", {"hidden_features": 6, "projection_features": 5}),
    # Three sub-batches of four images in batches of twelve.
    "w-mse": (
        "w-mse",
        {"hidden_features": 6, "projection_features": 3, "sub_batch_size": 4, "iterations": 2, "shrinkage": 0.01},
    ),
    "byol": ("byol", {"projection_features": 5, "hidden_features": 12, "momentum": 0.9}),
    "simsiam": ("simsiam", {"projection_features": 16, "predictor_features": 4}),
    "moco": ("moco", {"projection_features": 5, "queue": 9, "momentum": 0.9}),
    "moco, symmetric": (
        "moco",
        {"projection_features": 5, "predictor_features": 12, "symmetric": True, "momentum": 0.9},
    ),
    "relic": ("relic", {"projection_features": 5, "momentum": 0.9}),
    "ressl": ("ressl", {"projection_features": 5, "momentum": 0.9}),
    "ssl-hsic": ("ssl-hsic", {"projection_features": 5, "momentum": 0.9}),
    "swav": ("swav", {"projection_features": 5}),
    "swav, crops": ("swav", {"projection_features": 5, "local_crops": 3, "local_size": 4}),
    "lejepa": ("lejepa", {"projection_features": 5, "hidden_features": 6, "local_crops": 2, "slices": 9}),
    "lejepa, all": ("lejepa", {"projection_features": 5, "local_crops": 0, "predicted": "all", "slices": 9}),
    # From the start, or the prototypes would have no gradient.
    "dino": ("dino", {"projection_features": 5, "local_crops": 2, "frozen_epochs": 0, "momentum": 0.9}),
    "dino, sinkhorn": (
        "dino",
        {
            "projection_features": 5,
            "local_crops": 0,
            "frozen_epochs": 0,
            "momentum": 0.9,
            "centring": "sinkhorn",
            "koleo_weight": 0.1,
        },
    ),
}
# Halfway through a training, of those forms whose momentum starts at 0.9.
MOMENTUM = {
    "byol": 0.95,
    "moco": 0.9,
    "moco, symmetric": 0.95,
    "relic": 0.95,
    "ressl": 0.9,
    "ssl-hsic": 0.95,
    "dino": 0.95,
    "dino, sinkhorn": 0.95,
}
each_form = pytest.mark.parametrize("form", FORMS)
each_name = pytest.mark.parametrize("name", NAMES)


def _method(form, *, seed=0, **given):
    name, options = FORMS[form]
    encoder = convnet(seed=seed)
    torch.manual_seed(seed)
    return METHODS[name](encoder, IMAGES, METHODS[name].Options(**options | given))


def _default(name):
    torch.manual_seed(0)
    return METHODS[name](convnet(), IMAGES)


def test_every_method_has_a_form():
    assert {name for name, _ in FORMS.values()} == set(NAMES)


@each_name
def test_forward_compares_two_views(name):
    method = _default(name)
    state = {key: value.clone() for key, value in method.state_dict().items()}
    torch.manual_seed(3)
    step = method(image_batch(8))
    method.load_state_dict(state)
    torch.manual_seed(3)
    views = method.all_views(image_batch(8))
    assert [len(size) for size in views] == [16, 8 * method.local_crops][: len(views)]
    compared = method.compare(*views)
    torch.testing.assert_close(compared.loss, step.loss)
    # Alone, some need one view's embeddings only.
    torch.testing.assert_close(compared.embeddings[: len(step.embeddings)].detach().float(), step.embeddings)
    assert compared.projections.shape[0] == compared.embeddings.shape[0] == 16


@each_name
def test_projections_and_embeddings_carry_gradients_to_the_encoder(name):
    method = _default(name)
    for part in ("projections", "embeddings"):
        compared = method.compare(*method.all_views(image_batch(8)))
        method.zero_grad()
        (getattr(compared, part) * torch.randn(getattr(compared, part).shape)).sum().backward()
        assert any(parameter.grad is not None and parameter.grad.any() for parameter in method.encoder.parameters())


@each_name
def test_comparing_draws_no_random_numbers_and_moves_no_weights(name):
    method = _default(name)
    views = method.all_views(image_batch(8))
    before = torch.random.get_rng_state()
    weights = [parameter.clone() for parameter in method.parameters()]
    method.compare(*views)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(old, new) for old, new in zip(weights, method.parameters(), strict=True))


@each_name
def test_the_defaults_train_in_the_loop(name, tmp_path):
    method = _default(name)
    training = TrainingOptions(epochs=1, batch_size=16, device="cpu", precision="32")
    fit(method, Dataset(image_source(), {}), out=tmp_path / "run", training=training)
    assert all(parameter.isfinite().all() for parameter in method.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dacl"])
def test_tables_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} makes its views by image augmentation, the data are tables: train"):
        METHODS[name](mlp(), ROWS)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dacl"])
def test_views_that_cannot_be_are_refused_before_anything_is_learnt(name):
    with pytest.raises(ValueError, match="crop_scale"):
        METHODS[name](convnet(), IMAGES, METHODS[name].Options(crop_scale=(0.5, 0.2)))


@each_form
def test_all_but_the_target_is_learnt_in_one_phase(form):
    method = _method(form)
    (phase,) = method.phases()
    followed = set(method.target.parameters()) if form in MOMENTUM else set()
    assert set(phase.parameters) == set(learnt(method)) == set(method.parameters()) - followed
    method(image_batch(12), phase.name).loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in phase.parameters)


@pytest.mark.parametrize(("form", "momentum"), MOMENTUM.items())
def test_the_target_follows_encoder_and_head(form, momentum):
    method = _method(form)
    followed = [*method.encoder.parameters(), *method.head.parameters()]
    assert all(torch.equal(*pair) for pair in zip(followed, method.target.parameters(), strict=True))
    with torch.no_grad():
        for weight in followed:
            weight.add_(1)
    method.before_update("train", done=0.5, learning_rate=0.1)
    method.after_update()
    for weight, target in zip(followed, method.target.parameters(), strict=True):
        torch.testing.assert_close(weight - target, torch.full_like(weight, momentum))


# The queue of ReSSL holds random keys at first.
@pytest.mark.parametrize(("form", "first"), [("relic", 0), ("ressl", 5), ("ssl-hsic", 0), ("swav", 0)])
def test_it_is_learnt_from_a_toy(form, first):
    losses = train(_method(form), steps=30)
    assert sum(losses[-5:]) < sum(losses[first : first + 5])


@pytest.mark.parametrize("form", ["barlow-twins", "vicreg", "w-mse", "large-margin", "lejepa"])
def test_it_learns_to_tell_colours_apart(form):
    method = _method(form, jitter=(0.2, 0.2, 0.2, 0.05), grayscale_probability=0.0)
    colours = torch.randint(0, 256, (24, 3, 1, 1), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    batch = Batch(colours.expand(-1, -1, 8, 8).contiguous(), torch.arange(24))
    losses = train(method, steps=60, batch=batch)
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


@each_form
def test_it_is_saved_and_resumed(form):
    method, other = _method(form), _method(form, seed=9)
    train(method, steps=2)
    other.load_state_dict(method.state_dict())
    assert train(method, steps=2, seed=5) == train(other, steps=2, seed=5)
    for pair in zip(method.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(*pair)


@each_form
def test_half_precision_gives_a_float32_loss(form):
    # W-MSE's sub-batches leave few directions to spare, where rounding of the projections would show most.
    method = _method(form, **{"projection_features": 40, "sub_batch_size": 48} if form == "w-mse" else {})
    views = method.all_views(image_batch(48))
    exact = copy.deepcopy(method).compare(*views).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.compare(*views).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


@each_form
def test_a_call_on_copies_leaves_no_trace_and_is_differentiated_forwards_and_twice(form):
    method = _method(form).double()
    views = [size.double() for size in method.all_views(image_batch(4))]
    before = {key: value.clone() for key, value in method.state_dict().items()}
    moving = {name: each.detach() for name, each in method.named_parameters() if each.requires_grad}

    def loss(*weights):
        copies = {key: value.clone() for key, value in before.items() if key not in moving}
        given = copies | dict(zip(moving, weights, strict=True))
        given = {f"method.{key}": value for key, value in given.items()}
        return torch.func.functional_call(_Compare(method), given, tuple(views)).loss

    weights = tuple(moving.values())
    torch.manual_seed(1)
    direction = tuple(torch.randn_like(weight) for weight in weights)
    _, forwards = torch.func.jvp(loss, weights, direction)
    leaves = tuple(weight.clone().requires_grad_() for weight in weights)
    gradients = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    slope = sum((gradient * way).sum() for gradient, way in zip(gradients, direction, strict=True))
    torch.testing.assert_close(forwards, slope.detach())
    second = torch.autograd.grad(slope, leaves, allow_unused=True)
    assert all(each.isfinite().all() for each in second if each is not None)
    assert any(each is not None and each.any() for each in second)
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


class _Compare(nn.Module):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, *views):
        return self.method.compare(*views)


def _two_steps(form):
    """Losses and gradients of two batches of twelve images, or of this process's halves of them, and buffers."""
    rank, processes = world()
    method = _method(form).double()
    synchronize_batch_norm(method, torch.device("cpu"))
    torch.manual_seed(3)
    results = []
    for seed in range(2):
        images = image_batch(12, seed=seed).inputs.chunk(processes)[rank]
        batch = Batch(images, torch.arange(len(images)))
        if seed and method.local_crops:
            batch.local_inputs = torch.cat([images / 255] * method.local_crops)
        views = [size.double() for size in method.all_views(batch)]
        compared = method.compare(*views)
        gradients = torch.cat([each.flatten() for each in torch.autograd.grad(compared.loss, learnt(method))])
        if processes > 1:
            torch.distributed.all_reduce(gradients)
        results += [compared.loss.detach(), gradients / processes, *compared.scalars.values()]
        method.after_update()
    return results, [each.clone() for each in method.buffers()]


def _share():
    return {form: _two_steps(form) for form in FORMS}


def test_two_processes_are_as_one(tmp_path):
    alone = _share()
    for shared in run(_share, tmp_path):
        for form, (results, buffers) in alone.items():
            assert results[1].abs().max() > 1e-3
            torch.testing.assert_close(shared[form], (results, buffers), msg=lambda told, form=form: f"{form}: {told}")


@each_form
def test_labels_play_no_part(form):
    method, losses = _method(form), []
    for labelled in (True, False):
        torch.manual_seed(1)
        losses.append(copy.deepcopy(method)(image_batch(labelled=labelled)).loss.item())
    assert losses[0] == losses[1]


@each_form
def test_a_batch_of_one_image_is_refused_and_of_two_is_learnt_from(form):
    method = _method(form)
    why = f"{method.name} {method.refuses_one}: use at least two" if method.refuses_one else "holds (1|one)"
    with pytest.raises(ValueError, match=why):
        method(image_batch(1))
    method(image_batch(2)).loss.backward()
    assert all(each.grad.isfinite().all() for each in learnt(method))


@each_form
def test_it_runs_without_the_checker_of_annotations(form):
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        assert _method(form)(image_batch()).loss.isfinite()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
