from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from training.toy import (
    Recorder,
    convnet,
    dataset_of,
    fabric_for,
    image_source,
    linear_encoder,
    metrics,
    options,
    row_source,
    same,
    weights,
)
from training.toy_methods import Breaking, TwoPhase, TwoPhaseOptions
from unconfound.methods import Method, SimCLR, Step, Supervised
from unconfound.training import fit
from unconfound.training.alarms import NotFiniteError
from unconfound.training.loop import train
from unconfound.training.order import epoch_order

IMAGES, ROWS = image_source(48), row_source(64)


def _train(method, source, training, **arguments):
    recorder = arguments.pop("recorder", None) or Recorder()
    fabric = fabric_for(method, training)
    finished = train(
        method,
        source,
        training,
        fabric=fabric,
        batch_size=training.batch_size,
        listener=recorder.listener,
        **arguments,
    )
    return finished, recorder


def _linear():
    """A method without BatchNorm in float64, whose updates can be done by hand."""
    torch.manual_seed(3)
    return Supervised(linear_encoder(), ROWS.schema).double()


class Logits(Method):
    """Cross-entropy in float64."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.host = _linear()
        self.encoder = self.host.encoder

    def forward(self, batch, phase="train"):
        return Step(F.cross_entropy(self.host.linear_classifier()(self.encoder(batch.inputs)), batch.labels))


def _flat(method):
    return torch.cat([parameter.detach().flatten() for parameter in method.parameters()])


def test_the_loop_is_gradient_descent_with_momentum_along_the_schedule():
    method = Logits()
    model = copy.deepcopy(method)
    training = options(optimizer="sgd", learning_rate=0.1, weight_decay=0.0, batch_size=32, epochs=3)
    _train(method, ROWS, training)
    velocity = torch.zeros_like(_flat(model))
    for step in range(6):
        rows = epoch_order(64, 32, seed=0, epoch=step // 2, data_pass=0)[step % 2]
        model.zero_grad()
        model(next(ROWS.batches([rows]))).loss.backward()
        velocity = 0.9 * velocity + torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        rate = 0.1 * 0.5 * (1 + math.cos(math.pi * step / 6))
        torch.nn.utils.vector_to_parameters(_flat(model) - rate * velocity, model.parameters())
    torch.testing.assert_close(_flat(method), _flat(model), rtol=0, atol=1e-14)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars", "rmsprop"])
def test_accumulating_batches_equals_one_larger_batch(optimizer):
    changes = {"optimizer": optimizer, "epochs": 3, "learning_rate": 0.05}
    whole, parts = Logits(), Logits()
    _train(whole, ROWS, options(batch_size=32, **changes))
    _, recorder = _train(parts, ROWS, options(batch_size=8, accumulate=4, **changes))
    torch.testing.assert_close(_flat(parts), _flat(whole), rtol=0, atol=1e-12)
    assert recorder.saved[-1][0].step == 6


def test_clipping_bounds_the_gradient_and_leaves_smaller_ones_alone():
    start = _flat(Logits())

    def moved(**changes):
        method = Logits()
        training = {"optimizer": "sgd", "learning_rate": 1.0, "weight_decay": 0.0, "batch_size": 64, "epochs": 1}
        _train(method, ROWS, options(**training, **changes))
        return _flat(method) - start

    free = moved()
    assert free.norm() > 0.05
    clipped = moved(gradient_clip=0.01)
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(F.normalize(clipped, dim=0), F.normalize(free, dim=0), rtol=0, atol=1e-9)
    assert torch.equal(moved(gradient_clip=100.0), free)


def _averaged(encoder_states, decay):
    """The first update's weights, then the moving average of all later ones."""
    mean = encoder_states[0]
    for state in encoder_states[1:]:
        mean = {
            name: decay * mean[name] + (1 - decay) * value if value.is_floating_point() else mean[name]
            for name, value in state.items()
        }
    return mean


@pytest.mark.parametrize("kind", ["supervised", "two phases"])
def test_the_moving_average_is_the_hand_rolled_one_and_is_what_is_kept(kind, tmp_path):
    encoder = convnet(IMAGES)
    if kind == "supervised":
        method = Supervised(encoder, IMAGES.schema)
    else:
        method = TwoPhase(encoder, IMAGES.schema, TwoPhaseOptions(own_pass=False))
    states = []
    phase_names = [phase.name for phase in method.phases()]
    forward = method.forward

    def watched(batch, phase="train"):
        # What the encoder is after the phase that moves it: seen by the forward pass that comes next.
        states.append((phase, copy.deepcopy(encoder.state_dict())))
        return forward(batch, phase)

    method.forward = watched
    finish = method.after_update
    history = []

    def after_update():
        if states[-1][0] == phase_names[0]:
            history.append(copy.deepcopy(encoder.state_dict()))
        finish()

    method.after_update = after_update
    training = options(optimizer="sgd", learning_rate=0.2, ema_decay=0.7, seed=2)
    fitted = fit(method, dataset_of(IMAGES), out=tmp_path / "run", training=training)
    assert len(history) == 6
    expected = _averaged(history, 0.7)
    for name, value in fitted.encoder.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(
        expected["network.network.blocks.0.0.weight"], history[-1]["network.network.blocks.0.0.weight"]
    )


def test_equal_seeds_give_equal_weights_and_others_do_not():
    def trained(seed):
        method = SimCLR(convnet(IMAGES), IMAGES.schema)
        torch.manual_seed(seed + 100)  # what was drawn before must not matter
        _train(method, IMAGES, options(seed=seed, epochs=1))
        return weights(method)

    torch.manual_seed(0)
    first = trained(1)
    torch.rand(5)
    again = trained(1)
    assert same({k: v for k, v in first.items() if "encoder" in k}, {k: v for k, v in again.items() if "encoder" in k})
    assert not same(
        first["encoder.network.network.blocks.0.0.weight"], trained(2)["encoder.network.network.blocks.0.0.weight"]
    )


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4, 5, 6])
def test_a_stop_at_any_update_leaves_a_state_to_go_on_from(stop_after):
    def method():
        return SimCLR(convnet(IMAGES), IMAGES.schema)

    torch.manual_seed(0)
    training = options(seed=3)
    whole = method()
    start = weights(whole)
    _train(whole, IMAGES, training)

    part = method()
    part.load_state_dict(start)
    finished, recorder = _train(part, IMAGES, training, recorder=Recorder(stop_after=stop_after))
    assert not finished
    position, state = recorder.saved[-1]
    assert position.step == stop_after
    other = method()
    finished, recorder = _train(other, IMAGES, training, resumed=(position, state))
    assert finished
    assert recorder.saved[-1][0].step == 6
    assert same(weights(other), weights(whole))


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_numbers_that_are_none_name_their_step_and_never_reach_the_checkpoint(where, clip, tmp_path):
    def run(name, **changes):
        method = Breaking(convnet(IMAGES), IMAGES.schema, at=5, where=where)
        training = options(gradient_clip=clip, epochs=4, **changes)
        with pytest.raises(NotFiniteError, match=r"became NaN or infinite at step") as raised:
            fit(method, dataset_of(IMAGES), out=tmp_path / name, training=training)
        return str(raised.value)

    message = run("every step", checkpoint_seconds=0.0)
    what = {"loss": "loss", "gradient": "weights"}[where]
    assert f"the {what} became NaN or infinite at step 5 (epoch 2): try a lower --learning-rate (now 0.001)" in message
    state = torch.load(tmp_path / "every step" / "checkpoint" / "state.pt", weights_only=True)
    assert state["position"]["step"] == 4
    assert all(torch.isfinite(value).all() for value in state["state"]["method"].values())
    assert not (tmp_path / "every step" / "encoder.safetensors").exists()

    # Asked for only now and then, the first step is still known where the loss showed it.
    assert "at step 5" in run("rarely", log_every=4) or where == "gradient"
    assert not (tmp_path / "rarely" / "checkpoint" / "state.pt").exists()


def test_a_last_update_that_breaks_the_weights_is_not_saved_as_a_success(tmp_path):
    method = Breaking(convnet(IMAGES), IMAGES.schema, at=6, where="gradient")
    with pytest.raises(NotFiniteError, match=r"weights became NaN or infinite at step 6 \(epoch 2\)"):
        fit(method, dataset_of(IMAGES), out=tmp_path / "run", training=options(log_every=1000))
    assert not (tmp_path / "run" / "encoder.safetensors").exists()


class Collapsing(Breaking):
    """Learns, but says that all its embeddings are equal."""

    def forward(self, batch, phase="train"):
        embeddings = self.encoder(batch.inputs)
        return Step((embeddings - 1).square().mean(), embeddings=torch.ones_like(embeddings.detach()))


def test_a_collapse_is_told_once_on_the_terminal_and_in_the_log(tmp_path):
    method = Collapsing(convnet(IMAGES), IMAGES.schema, at=-1, where="loss")
    fit(method, dataset_of(IMAGES), out=tmp_path / "run", training=options(log_every=1))
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("warning: collapse at step 1: all embeddings point the same way") == 1
    assert log.count("warning") == 1
    assert all(float(row["embedding_deviation"]) == 0 for row in metrics(tmp_path / "run"))


def test_a_healthy_run_raises_no_alarm():
    _, recorder = _train(SimCLR(convnet(IMAGES, width=16), IMAGES.schema), IMAGES, options(log_every=1))
    assert recorder.alarms == []
    assert [row["step"] for row in recorder.rows] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in recorder.rows] == [1, 1, 1, 2, 2, 2]


def test_rows_are_means_over_the_steps_since_the_last_row():
    def losses(log_every):
        method = Logits()
        _, recorder = _train(method, ROWS, options(epochs=1, batch_size=8, log_every=log_every))
        return [(row["step"], row["loss"]) for row in recorder.rows]

    every = dict(losses(1))
    assert list(every) == list(range(1, 9))
    for step, loss in losses(3):
        since = [every[at] for at in range(3 * ((step - 1) // 3) + 1, step + 1)]
        assert loss == pytest.approx(sum(since) / len(since), abs=2e-6)


def test_incomplete_batches_are_left_out():
    method = Logits()
    _, recorder = _train(method, ROWS, options(batch_size=24, epochs=2))
    assert recorder.saved[-1][0].step == 4
