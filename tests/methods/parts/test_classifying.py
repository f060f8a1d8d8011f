"""What all methods have in common that learn a classifier."""

from __future__ import annotations

from dataclasses import replace

import jaxtyping
import pytest
import torch
from training.toy_methods import Interrupted
from two_processes import run

from methods.toy import (
    GROUPED,
    IMAGES,
    convnet,
    grouped_batch,
    grouped_source,
    image_batch,
    mlp,
)
from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.functional.distributed import world
from unconfound.methods import METHODS
from unconfound.methods.parts.classifying import Classifier, accuracy
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.training.batch_norm import synchronize_batch_norm

# name of the case: (method, options, phase)
CASES = {
    "supervised": ("supervised", {}, "train"),
    "supervised, vib": ("supervised", {"vib": True, "bottleneck_features": 6, "kl_weight": 0.1}, "train"),
    "supervised, vib, augmented": ("supervised", {"vib": True, "bottleneck_features": 6, "augment": True}, "train"),
    "scl": ("scl", {"projection_features": 5}, "train"),
    "scl, augmented": ("scl", {"projection_features": 5, "augment": True}, "train"),
    "group-dro": ("group-dro", {"step_size": 0.5, "adjustment": 1.0}, "train"),
    "irm": ("irm", {"penalty_weight": 3.0, "penalty_anneal_epochs": 0}, "train"),
    "afr": ("afr", {}, "train"),
    "self": ("self", {}, "train"),
    "masktune": ("masktune", {}, "train"),
    "masktune, tuned": ("masktune", {"deviations": 0.5}, "tune"),
    "jtt, first": ("jtt", {}, "identify"),
    "jtt": ("jtt", {}, "train"),
    "dfr": ("dfr", {}, "train"),
}
GROUP_METHODS = ("group-dro", "irm", "dfr")
# CIM has tests of its own, on images large enough for its similarity.
NAMES = [name for name, kind in METHODS.items() if issubclass(kind, Classifier) and name != "cim"]
each_case = pytest.mark.parametrize("case", CASES)


def _method(case, schema=GROUPED):
    name, options, _ = CASES[case]
    kind = METHODS[name]
    torch.manual_seed(0)
    return kind(convnet(schema), schema, kind.Options(**options))


def _share(cases):
    """Loss, averaged gradient and buffers of each method after this process's share of twelve samples."""
    rank, processes = world()
    whole, found = grouped_batch(12), []
    own = [torch.arange(12).chunk(processes)[rank]]
    batch = next(iter(MemorySource("toys", GROUPED, whole.inputs, whole.labels, whole.groups).batches(own)))
    for case in cases:
        method = _method(case).double()
        synchronize_batch_norm(method, torch.device("cpu"))
        for epoch in (0, 1):  # jtt finds its errors in the second
            method.before_epoch(epoch, grouped_source(33))
        method.train()
        torch.manual_seed(5)
        step = method(replace(batch, inputs=batch.inputs.double() / 255), CASES[case][2])
        learnt = [parameter for parameter in method.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(step.loss, learnt, allow_unused=True, materialize_grads=True)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        loss = step.loss.detach().clone()
        if processes > 1:
            torch.distributed.all_reduce(flat)
            torch.distributed.all_reduce(loss)
        found.append((loss / processes, flat / processes, [buffer.clone() for buffer in method.buffers()]))
    return found


def test_two_processes_are_as_one(tmp_path):
    alone = _share(list(CASES))
    for shared in run(_share, tmp_path, list(CASES)):
        for case, of_two, of_one in zip(CASES, shared, alone, strict=True):
            torch.testing.assert_close(of_two, of_one, msg=lambda text, case=case: f"{case}: {text}")
    assert all(gradients.abs().max() > 1e-3 for _, gradients, _ in alone)
    assert any(buffer.shape == (33,) for buffer in alone[-2][2])  # jtt's errors


@each_case
def test_half_precision_gives_a_float32_loss(case):
    method, phase = _method(case), CASES[case][2]
    method.before_epoch(0, grouped_source())
    losses = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(method(grouped_batch(24), phase).loss)
    assert losses[1].dtype == torch.float32
    torch.testing.assert_close(losses[1], losses[0], rtol=0.1, atol=0.1)
    losses[1].backward()
    assert all(parameter.grad.isfinite().all() for parameter in method.parameters() if parameter.grad is not None)


@each_case
def test_one_sample_and_one_class_are_learnt_from(case):
    for batch in (grouped_batch(1), replace(grouped_batch(6), labels=torch.ones(6, dtype=torch.long))):
        method = _method(case)
        method.before_epoch(0, grouped_source())
        step = method(batch, CASES[case][2])
        step.loss.backward()
        assert step.loss.isfinite()
        assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


@each_case
def test_what_is_no_number_makes_the_loss_none(case):
    method = _method(case)
    method.before_epoch(0, grouped_source())
    batch = grouped_batch(6)
    inputs = batch.inputs.float() / 255
    inputs[2] = torch.nan
    assert method(replace(batch, inputs=inputs), CASES[case][2]).loss.isnan()


@each_case
def test_it_runs_without_the_checker_of_annotations(case):
    method = _method(case)
    method.before_epoch(0, grouped_source())
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        assert method(grouped_batch(), CASES[case][2]).loss.isfinite()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_train_in_the_loop_and_go_on_where_they_stopped(name, tmp_path):
    data = Dataset(grouped_source(48), {}, labelled=grouped_source(48))
    training = TrainingOptions(epochs=2, batch_size=16, device="cpu", precision="32", checkpoint_seconds=0)

    def make():
        torch.manual_seed(0)
        return METHODS[name](convnet(GROUPED), GROUPED)

    whole, stopped, again = make(), make(), make()
    fit(whole, data, out=tmp_path / "whole", training=training)
    with pytest.raises(TrainingStopped):
        fit(Interrupted(stopped, at=5), data, out=tmp_path / "run", training=training)
    fit(Interrupted(again, at=-1), data, out=tmp_path / "run", training=training, resume=True)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())
    assert whole.linear_classifier().weight.shape == (3, whole.encoder.features)
    fresh = make()
    fresh.load_state_dict(whole.state_dict())
    assert METHODS[name].needs_labels
    assert whole.needs_groups == (name in GROUP_METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_data_that_cannot_be_learnt_from_are_refused(name):
    for classes in ((), ("only",)):
        with pytest.raises(ValueError, match=f"{name} needs at least two classes, the data have {len(classes)}: give"):
            METHODS[name](convnet(), Schema("images", (3, 8, 8), classes, ("left", "right")))
    with pytest.raises(ValueError, match=f"{name} needs labels, this batch has none"):
        METHODS[name](convnet(GROUPED), GROUPED)(image_batch(labelled=False))


@pytest.mark.parametrize("name", GROUP_METHODS)
def test_groups_are_needed_of_every_sample(name):
    kind = METHODS[name]
    with pytest.raises(ValueError, match=f"{name} needs the groups of samples, at least two, the data have 0: give gr"):
        kind(convnet(), IMAGES)
    method, source = kind(convnet(GROUPED), GROUPED), grouped_source(8)
    if name != "dfr":  # whose groups matter after the training
        with pytest.raises(ValueError, match=f"{name} needs the groups of samples, this batch has none"):
            method(image_batch())
    with pytest.raises(ValueError, match=f"{name} needs the groups of samples, toys has none: give groups"):
        method.before_epoch(0, Subset(source, torch.arange(8), grouped=False))
    groups = source.groups.clone()
    groups[:3] = -1
    with pytest.raises(ValueError, match=r"3 of 8 samples of toys have none of the 4 groups: leave them out"):
        method.before_epoch(0, replace(source, groups=groups))


def test_the_share_of_right_predictions():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 0])) == 0.75


@pytest.mark.parametrize("name", ["supervised", "scl"])
def test_rows_have_no_augmentation(name):
    kind = METHODS[name]
    with pytest.raises(ValueError, match="--augment makes views of images, the data are tables: leave it out"):
        kind(mlp(), Schema("tables", (5,), ("no", "yes")), kind.Options(augment=True))


@pytest.mark.parametrize("balance", ["classes", "groups", "none"])
def test_supervised_draws_what_is_to_be_balanced_equally_often(balance):
    source = grouped_source(60)
    kind = METHODS["supervised"]
    method = kind(convnet(GROUPED), GROUPED, kind.Options(balance=balance))
    weights = method.sampling_weights(source, "train")
    assert method.needs_groups == (balance == "groups")
    if balance == "none":
        assert weights is None
        return
    values = source.labels if balance == "classes" else source.groups
    sums = torch.zeros(4, dtype=torch.float64).index_add(0, values, weights)[:3]
    torch.testing.assert_close(sums, torch.ones(3).double())
    with pytest.raises(ValueError, match="supervised --balance groups needs the groups of samples, at least two"):
        kind(convnet(), IMAGES, kind.Options(balance="groups"))
