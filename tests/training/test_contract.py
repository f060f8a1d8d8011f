"""The contract of `methods/method.py` carries each kind of method, through `fit`."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from training.toy import convnet, dataset_of, image_source, metrics, options, same, weights
from training.toy_methods import (
    Afterwards,
    BetweenEpochs,
    Drawing,
    Interrupted,
    Queue,
    TwoPhase,
    TwoPhaseOptions,
    Wrapping,
)
from unconfound.data.core.subset import Subset
from unconfound.encoders import load_classifier
from unconfound.methods import SimCLR, Supervised
from unconfound.training import TrainingStopped, fit

SOURCE = image_source(48)


def _method(kind, *, seed=0, **changes):
    encoder = convnet(SOURCE, seed=seed)
    return kind(encoder, SOURCE.schema, TwoPhaseOptions(**changes))


def _fit(method, out, **arguments):
    training = options(**{"optimizer": "adamw", "learning_rate": 0.01, "log_every": 1, **arguments.pop("training", {})})
    return fit(method, dataset_of(SOURCE), out=out, training=training, **arguments)


def _changes(method):
    """(phase, indices of the parameters that moved) for every stretch between two forward passes."""
    seen = [*method.seen, ("end", [], [parameter.detach() for parameter in method.parameters()])]
    for (phase, _, before), (_, _, after) in pairwise(seen):
        yield phase, {at for at, pair in enumerate(zip(before, after, strict=True)) if not torch.equal(*pair)}


def _owned(method):
    order = list(method.parameters())
    return {
        phase.name: {at for at, parameter in enumerate(order) if any(parameter is own for own in phase.parameters)}
        for phase in method.phases()
    }


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize(("own_pass", "every"), [(True, 1), (False, 1), (False, 2)])
def test_a_phase_moves_its_own_parameters_and_leaves_all_others_bit_identical(own_pass, every, accumulate, tmp_path):
    method = _method(TwoPhase, own_pass=own_pass, every=every)
    _fit(method, tmp_path / "run", training={"batch_size": 8, "accumulate": accumulate, "weight_decay": 0.1})
    owned = _owned(method)
    assert owned["learn"] | owned["gate"] == set(range(len(list(method.parameters()))))
    moved = list(_changes(method))
    assert all(changed <= owned[phase] for phase, changed in moved)
    # One update for `accumulate` forward passes, at each of which all of the phase's weights move.
    updates = [(phase, changed) for phase, changed in moved if changed]
    assert len(updates) * accumulate == len(moved)
    assert all(len(changed) == len(owned[phase]) for phase, changed in updates)


def test_phases_come_in_the_stated_order_on_the_stated_batches(tmp_path):
    def sequence(**changes):
        method = _method(TwoPhase, **changes)
        _fit(method, tmp_path / f"{changes}", training={"batch_size": 16})
        return [(phase, tuple(index)) for phase, index, _ in method.seen]

    own = sequence(own_pass=True)
    assert [phase for phase, _ in own] == (["learn"] * 3 + ["gate"] * 3) * 2
    assert own[0:3] != own[3:6]  # every pass has an order of its own
    for start in range(0, 12, 3):
        assert sorted(sum((index for _, index in own[start : start + 3]), ())) == list(range(48))

    shared = sequence(own_pass=False)
    assert [phase for phase, _ in shared] == ["learn", "gate"] * 6
    assert all(shared[at][1] == shared[at + 1][1] for at in range(0, 12, 2))

    rare = sequence(own_pass=False, every=2)
    assert [phase for phase, _ in rare] == ["learn", "gate", "learn", "learn", "gate"] * 2


@pytest.mark.parametrize("own_pass", [True, False])
def test_a_phase_runs_in_its_epochs_alone_and_its_learning_rate_falls_over_them(own_pass, tmp_path):
    method = _method(TwoPhase, own_pass=own_pass, start=2, stop=2)
    _fit(method, tmp_path / "run", training={"batch_size": 16, "epochs": 5, "warmup_epochs": 0})
    assert [phase for phase, *_ in method.seen] == ["learn"] * 6 + ["gate"] * 9
    rates = {"learn": [], "gate": []}
    for row in metrics(tmp_path / "run"):
        rates[row["phase"]].append(float(row["learning_rate"]))
    assert [rates[phase][0] for phase in ("learn", "gate")] == pytest.approx([0.01, 0.02])
    # Half of a cosine each, over two and over three epochs.
    assert rates["learn"][3] == pytest.approx(0.005)
    assert rates["gate"][-1] < 0.1 * rates["gate"][0]


def test_epochs_of_a_phase_may_be_counted_from_the_end(tmp_path):
    method = _method(TwoPhase, start=-1, stop=-2)
    _fit(method, tmp_path / "run", training={"batch_size": 16, "epochs": 5})
    assert [phase for phase, *_ in method.seen] == ["learn"] * 9 + ["gate"] * 3


@pytest.mark.parametrize("changes", [{"start": 2}, {"stop": 3}, {"start": -3}, {"stop": -2}])
def test_a_phase_that_the_training_does_not_reach_is_refused(changes, tmp_path):
    with pytest.raises(ValueError, match=r"2 epochs do not reach the phase (learn|gate), .*train for more --epochs"):
        _fit(_method(TwoPhase, **changes), tmp_path / "run", training={"epochs": 2})


def test_what_is_learnt_after_training_is_kept_and_is_the_same_after_a_resumption(tmp_path):
    kept = []
    for resume in (False, True):
        fitted = _fit(_method(Afterwards), tmp_path / "run", resume=resume)
        assert torch.equal(fitted.classifier.weight, load_classifier(tmp_path / "run").weight)
        kept.append(fitted.classifier.weight)
    assert kept[0].abs().sum() > 0
    assert torch.equal(*kept)
    assert (tmp_path / "run" / "log.txt").read_text().count("means of toys, set aside: None") == 2


def test_a_validation_part_is_handed_over_after_training(tmp_path):
    dataset = replace(dataset_of(SOURCE), validation=Subset(SOURCE, torch.arange(8), name="aside"))
    fit(_method(Afterwards), dataset, out=tmp_path / "run", training=options(epochs=1))
    assert "means of toys, set aside: aside" in (tmp_path / "run" / "log.txt").read_text()


def test_samples_come_as_often_as_the_method_asks_in_the_passes_where_it_does(tmp_path):
    method = _method(Drawing)
    _fit(method, tmp_path / "run", training={"batch_size": 16})
    assert [phase for phase, _ in method.seen] == (["drawn"] * 3 + ["each"] * 3) * 2
    for epoch in range(2):
        drawn, each = (
            [index for phase, rows in method.seen[6 * epoch : 6 * epoch + 6] if phase == name for index in rows]
            for name in ("drawn", "each")
        )
        assert sorted(each) == list(range(48))
        assert len(drawn) == 48
        assert len(set(drawn)) < 24
        assert (SOURCE.labels[drawn] == epoch).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(47), r"must be one a sample, 48, got shape \(47,\)"),
        (torch.zeros(48), "must be numbers of at least 0 and not all 0, got 0.0 to 0.0"),
        (torch.full((48,), float("nan")), "must be numbers of at least 0 and not all 0, got nan"),
    ],
)
def test_weights_by_which_nothing_can_be_drawn_are_refused(weights, message, tmp_path):
    method = _method(Drawing)
    method.sampling_weights = lambda source, phase: weights
    with pytest.raises(ValueError, match=message):
        _fit(method, tmp_path / "run")


def test_a_classifier_is_kept_beside_its_encoder_and_tells_what_the_method_told(tmp_path):
    method = Supervised(convnet(SOURCE), SOURCE.schema)
    fitted = _fit(method, tmp_path / "run")
    batch = next(iter(SOURCE.batches([torch.arange(48)])))
    method.eval()
    with torch.no_grad():
        told = method.linear_classifier()(method.encoder(batch.inputs))
        torch.testing.assert_close(fitted.classifier(fitted.encoder(batch.inputs)), told)
    # A moving average of the encoder is not the encoder that the classifier was trained with.
    averaged = _fit(Supervised(convnet(SOURCE), SOURCE.schema), tmp_path / "average", training={"ema_decay": 0.9})
    assert averaged.classifier is None
    assert load_classifier(tmp_path / "average") is None
    (tmp_path / "run" / "classifier.safetensors").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"classifier\.safetensors is damaged"):
        load_classifier(tmp_path / "run")


def test_metrics_have_a_row_for_each_phase(tmp_path):
    _fit(_method(TwoPhase, own_pass=False), tmp_path / "run", training={"log_every": 3})
    rows = metrics(tmp_path / "run")
    assert [(row["step"], row["phase"]) for row in rows] == [(s, p) for s in ("3", "6") for p in ("learn", "gate")]
    assert all(float(row["loss"]) > 0 and float(row["magnitude"]) > 0 for row in rows)
    # Both phases follow one schedule from rates of their own.
    assert float(rows[1]["learning_rate"]) == pytest.approx(2 * float(rows[0]["learning_rate"]))


def test_before_epoch_sees_every_epoch_and_leaves_no_trace_but_what_it_learnt(tmp_path):
    method = _method(BetweenEpochs)
    _fit(method, tmp_path / "run", training={"optimizer": "sgd", "epochs": 1, "batch_size": 48, "weight_decay": 0.0})
    assert method.epochs == [0]
    assert method.sources == [SOURCE]

    # One update by hand: the gradients that before_epoch left behind must have no part in it.
    expected = _method(BetweenEpochs)
    expected.sample_weights.copy_(method.sample_weights)
    batch = next(iter(SOURCE.batches([torch.arange(48)])))
    expected(batch).loss.backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter.sub_(0.01 * parameter.grad)
    for found, wanted in zip(method.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_after_update_follows_every_step_of_the_optimizer(accumulate, tmp_path):
    method = _method(Queue)
    start = copy.deepcopy(method)
    history = []
    method.encoder.register_forward_pre_hook(
        lambda *_: history.append([parameter.detach().clone() for parameter in method.encoder.parameters()])
    )
    _fit(method, tmp_path / "run", training={"batch_size": 8, "accumulate": accumulate})
    history.append([parameter.detach().clone() for parameter in method.encoder.parameters()])
    assert method.updates == 2 * 6 // accumulate
    assert int(method.place) == 2 * 48 // accumulate % 24

    mean = [parameter.detach().clone() for parameter in start.encoder.parameters()]
    for now in history[accumulate::accumulate]:
        mean = [old + 0.25 * (new - old) for old, new in zip(mean, now, strict=True)]
    for found, wanted in zip(method.teacher.parameters(), mean, strict=True):
        torch.testing.assert_close(found, wanted)


def test_before_update_tells_the_share_that_is_done_and_the_phase_s_rate(tmp_path):
    method = _method(TwoPhase)
    told = []
    method.before_update = lambda phase, *, done, learning_rate: told.append((phase, done, learning_rate))
    _fit(method, tmp_path / "run", training={"epochs": 2, "batch_size": 16})
    phases = [phase.name for phase in method.phases()]
    assert {phase for phase, _, _ in told} == set(phases)
    first = [done for phase, done, _ in told if phase == phases[0]]
    assert first == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    rows = metrics(tmp_path / "run")
    for name in phases:
        rates = [rate for phase, _, rate in told if phase == name]
        assert [float(row["learning_rate"]) for row in rows if row["phase"] == name] == pytest.approx(rates)


def test_a_method_that_wraps_another_learns_what_the_other_learns_alone(tmp_path):
    alone = SimCLR(convnet(SOURCE), SOURCE.schema)
    wrapped = _method(Wrapping)
    wrapped.host.load_state_dict(alone.state_dict())
    _fit(alone, tmp_path / "alone")
    _fit(wrapped, tmp_path / "wrapped")
    learnt = dict(alone.head.named_parameters())
    assert same(
        {name: p.detach() for name, p in learnt.items()},
        {k: p.detach() for k, p in wrapped.host.head.named_parameters()},
    )
    for first, second in zip(alone.encoder.parameters(), wrapped.encoder.parameters(), strict=True):
        assert torch.equal(first, second)
    assert wrapped.scale.item() != 0


CASES = [
    (TwoPhase, {"own_pass": True}),
    (TwoPhase, {"own_pass": False, "every": 2}),
    (BetweenEpochs, {}),
    (Queue, {}),
    (Wrapping, {}),
    (Drawing, {}),
]


@pytest.mark.parametrize(("kind", "changes"), CASES, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_asked_to_stop_goes_on_bit_for_bit(kind, changes, accumulate, tmp_path):
    training = {"batch_size": 8, "accumulate": accumulate, "ema_decay": 0.9}
    whole = Interrupted(_method(kind, **changes), at=-1)
    _fit(whole, tmp_path / "whole", training=training)

    for number, at in enumerate((1, 3, 5)):
        method = Interrupted(_method(kind, seed=7 * number, **changes), at=at)
        with pytest.raises(TrainingStopped):
            _fit(method, tmp_path / "run", training=training, resume=True)
    method = Interrupted(_method(kind, seed=99, **changes), at=-1)
    _fit(method, tmp_path / "run", training=training, resume=True)
    assert same(weights(method), weights(whole))
    steps = [(row["step"], row["phase"]) for row in metrics(tmp_path / "run")]
    assert steps == [(row["step"], row["phase"]) for row in metrics(tmp_path / "whole")]
