"""What the methods share whose loss couples the samples of a batch and keeps nothing of other batches."""

from __future__ import annotations

import jaxtyping
import pytest
import torch
from torch import nn
from torch.func import functional_call
from two_processes import run

from methods.toy import IMAGES, ROWS, convnet, image_batch, image_source, mlp
from unconfound.data import Batch, Dataset
from unconfound.functional.distributed import world
from unconfound.methods import METHODS
from unconfound.training import TrainingOptions, fit
from unconfound.training.batch_norm import synchronize_batch_norm

# Small heads; three sub-batches of four images or more in batches of twelve.
OPTIONS = {
    "barlow-twins": {"hidden_features": 6, "projection_features": 5},
    "vicreg": {"hidden_features": 6, "projection_features": 5},
    "w-mse": {"hidden_features": 6, "projection_features": 3, "sub_batch_size": 4, "iterations": 2, "shrinkage": 0.01},
    "large-margin": {"projection_features": 5},
}
each_method = pytest.mark.parametrize("name", OPTIONS)


def _method(name, **options):
    kind = METHODS[name]
    return kind(convnet(), IMAGES, kind.Options(**OPTIONS[name] | options))


def _views(size=12):
    return torch.rand(2 * size, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _share(names):
    """The loss and the averaged gradient of each method, on this process's share of twelve images."""
    rank, processes = world()
    found = []
    for name in names:
        method = _method(name).double()
        synchronize_batch_norm(method, torch.device("cpu"))
        own = [view.chunk(processes)[rank] for view in _views().chunk(2)]
        compared = method.compare(torch.cat(own))
        gradients = torch.autograd.grad(compared.loss, list(method.parameters()))
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        if processes > 1:
            torch.distributed.all_reduce(flat)
        found.append((compared.loss.detach(), flat / processes, list(compared.scalars.values())))
    return found


def test_two_processes_are_as_one(tmp_path):
    alone = _share(list(OPTIONS))
    for shared in run(_share, tmp_path, list(OPTIONS)):
        for of_two, of_one in zip(shared, alone, strict=True):
            torch.testing.assert_close(of_two, of_one)
    assert all(gradients.abs().max() > 1e-3 for _, gradients, _ in alone)


class _Compared(nn.Module):
    def __init__(self, host):
        super().__init__()
        self.host = host

    def forward(self, views):
        return self.host.compare(views).loss


@each_method
def test_copies_of_weights_and_buffers_can_be_compared_twice_and_leave_no_trace(name):
    called = _Compared(_method(name).double())
    state = {key: value.clone() for key, value in called.state_dict().items()}
    weights, buffers = dict(called.named_parameters()), dict(called.named_buffers())

    def loss(weights):
        copies = {key: buffer.clone() for key, buffer in buffers.items()}
        return functional_call(called, (weights, copies), (_views(),))

    gradients = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
    moved = {key: weight - 0.1 * gradient for (key, weight), gradient in zip(weights.items(), gradients, strict=True)}
    of_gradients = torch.autograd.grad(loss(moved), list(weights.values()))
    assert all(gradient.isfinite().all() for gradient in of_gradients)
    for key, value in called.state_dict().items():
        assert torch.equal(value, state[key])

    # Along the gradient, forwards: the slope is its squared length.
    tangents = {key: gradient.detach() for key, gradient in zip(weights, gradients, strict=True)}
    detached = {key: weight.detach() for key, weight in weights.items()}
    _, slope = torch.func.jvp(loss, (detached,), (tangents,))
    torch.testing.assert_close(slope, sum(tangent.square().sum() for tangent in tangents.values()))


@each_method
def test_half_precision_gives_a_float32_loss(name):
    # W-MSE's sub-batches leave few directions to spare, where rounding of the projections would show most.
    method = _method(name, **{"projection_features": 40, "sub_batch_size": 48} if name == "w-mse" else {})
    views = _views(48).float()
    expected = method.compare(views).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.compare(views).loss
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.1, atol=0.1)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())


@each_method
def test_a_batch_of_one_image_is_refused_and_of_two_is_learnt_from(name):
    method = _method(name)
    with pytest.raises(ValueError, match=r"this batch holds (one|1): use at least"):
        method(image_batch(1))
    step = method(image_batch(2))
    step.loss.backward()
    assert step.loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters())


@each_method
def test_it_learns_to_tell_colours_apart(name):
    method = _method(name, jitter=(0.2, 0.2, 0.2, 0.05), grayscale_probability=0.0)
    colours = torch.randint(0, 256, (24, 3, 1, 1), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    batch = Batch(colours.expand(-1, -1, 8, 8).contiguous(), torch.arange(24))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = method(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


@each_method
def test_the_defaults_train_in_the_loop(name, tmp_path):
    method = METHODS[name](convnet(), IMAGES)
    training = TrainingOptions(epochs=1, batch_size=16, device="cpu", precision="32")
    fit(method, Dataset(image_source(), {}), out=tmp_path / "run", training=training)
    assert all(parameter.isfinite().all() for parameter in method.parameters())


@each_method
def test_tables_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} makes its views by image augmentation, the data are tables: train"):
        METHODS[name](mlp(), ROWS)


@each_method
def test_it_runs_without_the_checker_of_annotations(name):
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        assert _method(name)(image_batch()).loss.isfinite()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


WRONG = [
    *(
        (name, {option: 0}, f"{option} must be at least 1, got 0")
        for name in ("barlow-twins", "vicreg", "w-mse")
        for option in ("hidden_features", "projection_features", "projection_layers")
    ),
    ("barlow-twins", {"off_diagonal_weight": -1.0}, "off_diagonal_weight must be at least 0, got -1.0"),
    ("barlow-twins", {"off_diagonal_weight": float("nan")}, "off_diagonal_weight must be at least 0, got nan"),
    ("vicreg", {"invariance": -1.0}, "invariance must be at least 0, got -1.0"),
    ("vicreg", {"variance": float("nan")}, "variance must be at least 0, got nan"),
    ("vicreg", {"covariance": -0.5}, "covariance must be at least 0, got -0.5"),
    ("w-mse", {"sub_batch_size": 1}, "sub_batch_size must be at least 2, got 1"),
    ("w-mse", {"iterations": 0}, "iterations must be at least 1, got 0"),
    ("w-mse", {"shrinkage": 1.0}, "shrinkage must be .*, got 1.0"),
    ("w-mse", {"shrinkage": float("nan")}, "shrinkage must be .*, got nan"),
    (
        "w-mse",
        {"shrinkage": 0.0, "projection_features": 64, "sub_batch_size": 64},
        "without shrinkage sub_batch_size must be above projection_features, 64, got 64",
    ),
    ("large-margin", {"margin": -0.1}, "margin must be at least 0, got -0.1"),
    ("large-margin", {"margin": float("nan")}, "margin must be at least 0, got nan"),
    ("large-margin", {"temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ("large-margin", {"projection_features": 0}, "projection_features must be at least 1, got 0"),
]


@pytest.mark.parametrize(("name", "wrong", "message"), WRONG)
def test_options_out_of_range_are_refused_before_anything_is_learnt(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        METHODS[name].Options(**wrong)
