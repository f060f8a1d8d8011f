from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn
from two_processes import run

from methods.toy import GROUPED, IMAGES, MODALITIES, convnet, image_batch
from unconfound.data import Batch, Dataset, MemorySource, Schema
from unconfound.encoders import Normalized, Projected, load_encoder
from unconfound.functional.distributed import world
from unconfound.methods import Metric
from unconfound.methods.metric.metric import MetricOptions
from unconfound.options.methods.metric_settings import LossName
from unconfound.training import TrainingOptions, fit
from unconfound.training.batch_norm import synchronize_batch_norm

NAMES = get_args(LossName)


def source(samples=64, *, classes=8, single=False):
    """Images whose brightness tells the class; with one more class of a single image, if wanted."""
    labels = torch.arange(samples) % classes
    inputs = torch.randint(0, 60, (samples, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    inputs += (labels * 180 // classes)[:, None, None, None]
    if single:
        labels[0] = classes
    names = tuple("abcdefghijkl"[: classes + single])
    return MemorySource("toys", Schema("images", (3, 8, 8), names), inputs.to(torch.uint8), labels)


def method(schema=IMAGES, **options):
    torch.manual_seed(0)
    return Metric(convnet(schema), schema, MetricOptions(features=6, **options))


@pytest.mark.parametrize("loss", NAMES)
def test_every_loss_is_trained_end_to_end_and_leaves_an_encoder_of_its_width(loss, tmp_path):
    if loss == "fastap":
        pytest.importorskip("pytorch_metric_learning", reason="extra metric is not installed")
    data = source(single=True)
    result = fit(
        Metric(convnet(data.schema), data.schema, MetricOptions(loss=loss, features=6)),
        Dataset(train=data, tests={"test": data}, labelled=data),
        training=TrainingOptions(epochs=1, batch_size=16, device="cpu", precision="32", log_every=1),
        out=tmp_path / "run",
    )
    encoder = load_encoder(tmp_path / "run")
    assert encoder.features == 6
    assert encoder(data.inputs[:3]).shape == (3, 6)
    assert set(encoder.state_dict()) == set(result.encoder.state_dict())


def test_embeddings_of_a_class_come_together():
    data = source(128)
    learner = Metric(convnet(data.schema), data.schema, MetricOptions(features=6, loss="multi-similarity-miner"))
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)
    losses = []
    for step in range(40):
        torch.manual_seed(step)
        rows = torch.randperm(128)[:64]
        loss = learner(Batch(data.inputs[rows], rows, data.labels[rows])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_what_is_learnt_has_its_learning_rates():
    learner = method(head_learning_rate=0.5)
    (phase,) = learner.phases()
    encoder, head, proxies = phase.parameters
    assert "lr" not in encoder
    assert [head["lr"], proxies["lr"]] == [0.5, 2.53e-3]
    assert proxies["params"] == [learner.loss.proxies]
    assert {id(each) for each in head["params"]} == {
        id(each) for each in learner.encoder.wrapper(Projected).projection.parameters()
    }
    every = [parameter for group in phase.parameters for parameter in group["params"]]
    assert len(every) == len(set(map(id, every))) == len(list(learner.parameters()))
    (phase,) = method(loss="triplet").phases()
    assert len(phase.parameters) == 2
    assert "lr" not in phase.parameters[1]
    assert method(loss="margin", proxy_learning_rate=0.2).phases()[0].parameters[2]["lr"] == 0.2
    assert method(tuned_on="cars196").phases()[0].parameters[2]["lr"] == 7.41e-3


def test_settings_are_the_tuned_ones_or_those_given():
    assert method(loss="arcface").loss.settings == {"scale": 100.0, "margin": 23.22}
    assert method(loss="arcface", tuned_on="cars196", margin=5.0).loss.settings == {"scale": 49.5, "margin": 5.0}
    assert method(loss="contrastive", margin=0.9).loss.settings == {"positive_margin": -0.2, "margin": 0.9}
    assert method().instances_per_class is None
    assert method(loss="triplet").instances_per_class == 4
    assert method(instances=2).instances_per_class == 2


def test_frozen_batch_norm_keeps_its_statistics_scale_and_shift_and_the_heads_does_not():
    learner = method(freeze_batch_norm=True, batch_norm=True, augment=False)
    frozen = [layer for layer in learner.encoder.network.network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert frozen
    before = [layer.running_mean.clone() for layer in frozen]
    norm, _ = learner.encoder.wrapper(Projected).projection
    moving = norm.running_mean.clone()
    learner.train()
    learner(image_batch()).loss.backward()
    assert all(torch.equal(layer.running_mean, mean) for layer, mean in zip(frozen, before, strict=True))
    assert all(layer.weight.grad is None for layer in frozen)
    assert not torch.equal(norm.running_mean, moving)
    assert norm.weight.grad is not None
    moved = {id(each) for group in learner.phases()[0].parameters for each in group["params"]}
    assert not moved & {id(layer.weight) for layer in frozen}
    assert not learner.eval().encoder.wrapper(Projected).projection[0].training


def test_images_are_augmented_once_and_others_not_at_all():
    learner, batch, seen = method(), image_batch(), []
    learner.encoder.wrapper(Normalized).network.register_forward_hook(
        lambda _module, given, _out: seen.append(given[0].detach())
    )
    learner(batch)
    method_plain = method(augment=False)
    method_plain.encoder.wrapper(Normalized).network.register_forward_hook(
        lambda _module, given, _out: seen.append(given[0].detach())
    )
    method_plain(batch)
    assert len(seen[0]) == len(seen[1]) == 6
    torch.testing.assert_close(seen[1], method_plain.encoder.wrapper(Normalized).normalize(batch.inputs))
    assert not torch.allclose(*seen)


@pytest.mark.parametrize("modality", sorted(MODALITIES))
def test_samples_of_any_kind_are_learnt_from(modality):
    encoder, schema, batch = MODALITIES[modality]
    samples = batch(6)
    step = Metric(encoder(), schema, MetricOptions(features=3))(
        Batch(samples.inputs, samples.index, torch.arange(6) % 2)
    )
    step.loss.backward()
    assert step.embeddings.shape == (6, 3)
    assert step.loss.isfinite()


def _share():
    """The loss and averaged gradient of the contrastive and CosFace method on this process's share of twelve images."""
    rank, processes = world()
    found = []
    for loss in ("contrastive", "cosface"):
        learner = method(loss=loss, augment=False, batch_norm=True).double()
        synchronize_batch_norm(learner, torch.device("cpu"))
        whole = image_batch(12)
        inputs, index, labels = (each.chunk(processes)[rank] for each in (whole.inputs, whole.index, whole.labels))
        value = learner(Batch(inputs.double() / 255, index, labels)).loss
        flat = torch.cat([each.flatten() for each in torch.autograd.grad(value, list(learner.parameters()))])
        if processes > 1:
            torch.distributed.all_reduce(flat)
        found.append((value.detach(), flat / processes))
    return found


def test_two_processes_are_as_one(tmp_path):
    alone = _share()
    for shared in run(_share, tmp_path):
        torch.testing.assert_close(shared, alone)


def test_the_page_names_every_loss_with_its_settings():
    content = (Path(__file__).parents[3] / "docs/metric.md").read_text()
    for name in NAMES:
        assert content.count(f"| `{name}` |") == 2


def test_state_goes_on_where_it_was():
    first, second = method(loss="contrastive-xbm"), method(loss="contrastive-xbm", augment=False)
    first(image_batch())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.loss.memory.labels, second.loss.memory.labels)
    assert (second.loss.memory.labels >= 0).sum() == 6
    assert second.linear_classifier() is None


def test_batches_that_do_not_fit_the_classes_are_told_in_one_line(tmp_path):
    data = source(classes=8)
    learner = Metric(convnet(data.schema), data.schema, MetricOptions(features=6, loss="contrastive"))
    with pytest.raises(ValueError, match="a batch of 64 with 4 samples a class needs 16 classes, the data have 8"):
        fit(
            learner,
            Dataset(train=data, tests={"test": data}, labelled=data),
            training=TrainingOptions(epochs=1, device="cpu", batch_size=64),
            out=tmp_path / "run",
        )
    # The default fits.
    data = Dataset(train=data, tests={"test": data}, labelled=data)
    fit(learner, data, training=TrainingOptions(epochs=1, device="cpu"), out=tmp_path / "default")
    assert "batch size 32, 4 samples of each of 8 classes" in (tmp_path / "default" / "log.txt").read_text()


def test_data_and_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="the loss nt-xent has no margin: it has scale"):
        method(loss="nt-xent", margin=0.1)
    single = Schema("images", (3, 8, 8), ("a",))
    with pytest.raises(ValueError, match="metric needs at least two classes, the data have 1"):
        Metric(convnet(single), single)
    with pytest.raises(ValueError, match="metric needs labels, this batch has none"):
        method(GROUPED)(image_batch(labelled=False))


def test_losses_of_pairs_need_more_than_one_sample_of_a_class():
    with pytest.raises(ValueError, match="the loss triplet pulls samples of a class together"):
        MetricOptions(loss="triplet", instances=1)
