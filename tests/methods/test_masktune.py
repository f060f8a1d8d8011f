from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training.toy import metrics

from methods.toy import GROUPED, IMAGES, ROWS, convnet, grouped_source, image_batch, mlp
from unconfound.data import Dataset
from unconfound.functional.saliency import most_salient
from unconfound.methods import MaskTune
from unconfound.methods.masktune import MaskTuneOptions
from unconfound.methods.parts.model_saliency import class_saliency
from unconfound.training import TrainingOptions, fit


def _method(**options):
    torch.manual_seed(0)
    return MaskTune(convnet(), IMAGES, MaskTuneOptions(**options))


def test_the_last_epochs_are_for_tuning():
    train, tune = _method(tuning_epochs=2, tuning_learning_rate=0.3).phases()
    assert (train.name, train.start, train.stop) == ("train", 0, -2)
    assert (tune.name, tune.start, tune.stop, tune.learning_rate) == ("tune", -2, None, 0.3)
    assert [id(each) for each in train.parameters] == [id(each) for each in tune.parameters]
    method = _method()
    assert {*map(id, method.phases()[0].parameters)} == {id(each) for each in method.parameters() if each.requires_grad}


def test_a_step_is_cross_entropy_of_whole_or_of_masked_images():
    method, batch = _method(deviations=1.0), image_batch(8)
    classifier = method.linear_classifier()
    expected = F.cross_entropy(classifier(method.encoder(batch.inputs)), batch.labels)
    step = method(batch)
    torch.testing.assert_close(step.loss, expected)
    assert "masked" not in step.scalars

    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.mul_(1.3)
    hidden = most_salient(class_saliency(method.trained, batch.inputs), (8, 8), deviations=1.0)
    assert 0 < hidden.float().mean() < 0.5
    shown = torch.where(hidden, 0.0, batch.inputs / 255.0)
    expected = F.cross_entropy(classifier(method.encoder(shown)), batch.labels)
    step = method(batch, "tune")
    torch.testing.assert_close(step.loss, expected)
    torch.testing.assert_close(step.scalars["masked"], hidden.float().mean())
    step.loss.backward()
    moved = {name.partition(".")[0] for name, each in method.named_parameters() if each.grad is not None}
    assert moved == {"encoder", "head"}


def test_images_are_masked_by_the_model_as_it_was_before_the_tuning(tmp_path):
    source = grouped_source(48)
    data = Dataset(source, {}, labelled=source)
    training = TrainingOptions(epochs=3, batch_size=16, device="cpu", precision="32", log_every=1)
    torch.manual_seed(0)
    method = MaskTune(convnet(GROUPED), GROUPED)
    learnt, seen = method.before_update, []

    def watched(phase, *, done, learning_rate):
        if phase == "tune" and not seen:
            seen.append({key: each.clone() for key, each in nn.Sequential(method.encoder).state_dict().items()})
        learnt(phase, done=done, learning_rate=learning_rate)

    method.before_update = watched
    fit(method, data, out=tmp_path / "run", training=training)
    trained = method.trained.state_dict()
    assert all(torch.equal(trained[key], each) for key, each in seen[0].items())
    assert not torch.equal(trained["1.weight"], method.linear_classifier().weight)
    rows = metrics(tmp_path / "run")
    assert [row["phase"] for row in rows] == ["train"] * 6 + ["tune"] * 3
    assert all((float(row["masked"] or 0) > 0) == (row["phase"] == "tune") for row in rows)
    # A schedule of its own, with the peak of the training.
    assert max(float(row["learning_rate"]) for row in rows[6:]) > 5e-4


def test_one_epoch_is_too_few(tmp_path):
    data = Dataset(grouped_source(), {}, labelled=grouped_source())
    method = MaskTune(convnet(GROUPED), GROUPED)
    with pytest.raises(ValueError, match=r"1 epochs do not reach the phase train, .*train for more --epochs"):
        fit(method, data, out=tmp_path / "run", training=TrainingOptions(epochs=1, device="cpu"))


def test_rows_are_no_images():
    with pytest.raises(ValueError, match="masktune masks images, the data are tables: take another method"):
        MaskTune(mlp(), ROWS)


def test_images_of_one_colour_stay_whole():
    method, batch = _method(), image_batch(4)
    flat = replace(batch, inputs=torch.full_like(batch.inputs, 90))
    method.eval()
    step = method(flat, "tune")
    assert step.loss.isfinite()
    assert step.scalars["masked"] < 1
