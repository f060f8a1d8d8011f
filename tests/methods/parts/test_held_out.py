"""What AFR and SELF share: the samples that their encoder is not trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from methods.toy import GROUPED, convnet, grouped_batch, grouped_source, spurious_source
from unconfound.data.core.subset import Subset
from unconfound.encoders import build_encoder
from unconfound.methods import AFR, SELF

each_method = pytest.mark.parametrize("kind", [AFR, SELF])


def make(kind, source, **options):
    torch.manual_seed(0)
    encoder = build_encoder("mlp", source.schema, width=8, depth=1)
    return kind(encoder, source.schema, kind.Options(**options))


@each_method
def test_a_share_of_each_class_is_held_out_before_the_first_epoch(kind):
    source = spurious_source(101)
    method = make(kind, source, held_out_share=0.3)
    method.before_epoch(1, source)
    assert len(method.held_out) == 0
    assert method.of_samples() == {}
    method.before_epoch(0, source)
    for label in (0, 1):
        members = source.labels == label
        assert int(method.held_out[members].sum()) == round(0.3 * int(members.sum()))
    weights = method.sampling_weights(source, "train")
    assert torch.equal(weights == 0, method.held_out)
    assert weights.unique().tolist() == [0.0, 1.0]
    assert torch.equal(method.of_samples()["held_out"], method.held_out)
    with pytest.raises(ValueError, match=f"{kind.name} holds samples out of 101, spurious has 40: train and resume"):
        method.sampling_weights(spurious_source(40), "train")


@each_method
def test_training_is_that_of_cross_entropy(kind):
    torch.manual_seed(0)
    method, batch = kind(convnet(GROUPED), GROUPED).double(), grouped_batch(9)
    batch = replace(batch, inputs=batch.inputs.double() / 255, groups=None)
    logits = method.linear_classifier()(method.encoder(batch.inputs))
    torch.testing.assert_close(method(batch).loss, F.cross_entropy(logits, batch.labels))


@each_method
def test_the_last_layer_alone_is_learnt_from_the_held_out_samples(kind):
    source = spurious_source(200)
    method = make(kind, source)
    method.before_epoch(0, source)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    told = method.after_training(source, None)
    assert f"{int(method.held_out.sum())} samples of spurious" in told
    changed = {key for key, value in method.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"head.classifier.weight", "head.classifier.bias"}

    # The other training samples have no part in it.
    others = replace(source, inputs=torch.where(method.held_out[:, None], source.inputs, 100.0))
    expected = method.linear_classifier().weight.clone()
    method.load_state_dict(before)
    torch.manual_seed(1)
    first = method.after_training(source, None) and method.linear_classifier().weight.clone()
    method.load_state_dict(before)
    torch.manual_seed(1)
    method.after_training(others, None)
    assert torch.equal(method.linear_classifier().weight, first)
    assert expected.shape == first.shape


@each_method
def test_the_validation_part_may_take_their_place(kind):
    source, aside = spurious_source(60), spurious_source(50, seed=2)
    labels = aside.labels.clone()
    labels[:10] = -1
    aside = replace(aside, name="aside", labels=labels)
    method = make(kind, source, refit_on="validation")
    method.before_epoch(0, source)
    assert len(method.held_out) == 0
    assert method.sampling_weights(source, "train") is None
    assert "40 samples of aside" in method.after_training(source, aside)
    with pytest.raises(ValueError, match="validation part, which is not there: set one aside with --validation-share"):
        method.after_training(source, None)
    with pytest.raises(ValueError, match="validation part, which has no labels"):
        method.after_training(source, replace(aside, labels=None))


@each_method
def test_few_samples_are_held_out_or_refused(kind):
    source = grouped_source(33)
    few = Subset(source, torch.tensor([0, 1, 3]))  # two of one class, one of another
    torch.manual_seed(0)
    method = kind(convnet(GROUPED), GROUPED)
    method.before_epoch(0, few)
    assert int(method.held_out.sum()) == 1
    assert not method.held_out[1]
    assert method.after_training(few, None)
    assert method.linear_classifier().weight.isfinite().all()
    with pytest.raises(ValueError, match=f"{kind.name} holds out samples of each class, and toys has one of each"):
        method.before_epoch(0, Subset(source, torch.tensor([0, 1, 2])))
    with pytest.raises(ValueError, match=f"{kind.name} needs labels, toys has none"):
        method.before_epoch(0, replace(source, labels=None))


@each_method
def test_which_are_held_out_is_saved_whatever_their_number(kind):
    source = spurious_source(70)
    method, fresh = make(kind, source), make(kind, source)
    method.before_epoch(0, source)
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.held_out, method.held_out)
