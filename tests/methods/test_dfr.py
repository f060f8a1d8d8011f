from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from methods.toy import GROUPED, convnet, grouped_batch, grouped_source, spurious_source
from unconfound.data import Dataset
from unconfound.data.core.subset import Subset
from unconfound.encoders import build_encoder, load_classifier
from unconfound.methods import DFR, Supervised
from unconfound.methods.dfr import DFROptions
from unconfound.training import TrainingOptions, fit

TRAINING = TrainingOptions(epochs=8, batch_size=50, learning_rate=0.02, device="cpu", precision="32")


def _make(kind, source, options=None):
    torch.manual_seed(0)
    return kind(build_encoder("mlp", source.schema, width=8, depth=1), source.schema, options)


def test_training_is_that_of_cross_entropy():
    torch.manual_seed(0)
    method, batch = DFR(convnet(GROUPED), GROUPED).double(), grouped_batch(9)
    batch = replace(batch, inputs=batch.inputs.double() / 255)
    logits = method.linear_classifier()(method.encoder(batch.inputs))
    torch.testing.assert_close(method(batch).loss, F.cross_entropy(logits, batch.labels))


def test_the_encoder_is_that_of_supervised_and_the_last_layer_ignores_the_spurious_feature(tmp_path):
    source, aside = spurious_source(600), spurious_source(300, seed=2)
    test = spurious_source(2000, minority=0.5, seed=1)
    data = Dataset(source, {}, labelled=source, validation=replace(aside, name="aside"))
    worst = {}
    for name, kind, options in (
        ("plain", Supervised, None),
        ("validation", DFR, None),
        ("training", DFR, DFROptions(refit_on="training", penalty="l2")),
    ):
        run = fit(_make(kind, source, options), data, out=tmp_path / name, training=TRAINING)
        right = run.classifier(run.encoder(test.inputs)).argmax(1) == test.labels
        worst[name] = min(right[test.groups == group].float().mean().item() for group in range(4))
        rows = run.encoder(test.inputs)
        if name == "plain":
            plain = rows
        torch.testing.assert_close(rows, plain)
    assert min(worst["validation"], worst["training"]) > worst["plain"] + 0.1
    smallest = int(torch.bincount(aside.groups).min())
    log = (tmp_path / "validation" / "log.txt").read_text()
    assert f"dfr fit the last layer anew on 4 groups x {smallest} samples of aside (10 draws), l1 at" in log
    assert "samples of spurious (10 draws), l2 at" in (tmp_path / "training" / "log.txt").read_text()

    # A finished run that is resumed says and keeps the same.
    before = load_classifier(tmp_path / "validation").weight
    fit(_make(DFR, source), data, out=tmp_path / "validation", training=TRAINING, resume=True)
    assert torch.equal(load_classifier(tmp_path / "validation").weight, before)


@pytest.mark.parametrize("grouped", [True, False])
def test_without_groups_set_aside_it_takes_the_training_samples(grouped):
    source = spurious_source(100)
    method = _make(DFR, source, DFROptions(draws=1))
    aside = Subset(source, torch.arange(50), name="aside", grouped=grouped)
    assert f"samples of {'aside' if grouped else 'spurious'} (1 draws)" in method.after_training(source, aside)
    assert "samples of spurious" in method.after_training(source, None)


def test_samples_without_a_label_have_no_part_and_without_a_group_are_refused():
    source = spurious_source(100)
    labels = source.labels.clone()
    labels[:20] = -1
    aside = replace(source, name="aside", labels=labels)
    method = _make(DFR, source, DFROptions(draws=1))
    smallest = int(torch.bincount(source.groups[20:], minlength=4).clamp_min(1).min())
    assert f"x {smallest} samples of aside" in method.after_training(source, aside)
    groups = source.groups.clone()
    groups[0] = -1
    with pytest.raises(ValueError, match="1 of 100 samples of aside have none of the 4 groups"):
        method.after_training(source, replace(aside, groups=groups))


def test_it_leaves_the_encoder_as_it_was():
    source = grouped_source(60)
    torch.manual_seed(0)
    method = DFR(convnet(GROUPED), GROUPED, DFROptions(draws=2))
    before = {key: value.clone() for key, value in method.encoder.state_dict().items()}
    method.after_training(source, None)
    assert all(torch.equal(value, before[key]) for key, value in method.encoder.state_dict().items())


def test_there_is_a_strength_to_choose():
    with pytest.raises(ValueError, match="inverse_strengths must be at least one"):
        DFROptions(inverse_strengths=())
