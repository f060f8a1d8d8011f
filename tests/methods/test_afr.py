from __future__ import annotations

import math

import torch

from methods.parts.test_held_out import make
from methods.toy import spurious_source
from unconfound.data import Dataset
from unconfound.encoders import load_classifier
from unconfound.functional.error_weights import descend_to_weighted, error_weights
from unconfound.methods import AFR, Supervised
from unconfound.methods.parts.labelled import cross_entropy
from unconfound.training import TrainingOptions, fit

TRAINING = TrainingOptions(epochs=3, batch_size=50, learning_rate=0.02, device="cpu", precision="32")


def test_the_last_layer_descends_from_the_first_one_on_weighted_samples():
    source = spurious_source(200)
    method = make(AFR, source, gamma=3.0, pull=0.1, steps=7, refit_learning_rate=0.05)
    method.before_epoch(0, source)
    method.eval()
    classifier = method.linear_classifier()
    first = classifier.weight.detach().clone(), classifier.bias.detach().clone()
    with torch.no_grad():
        rows = method.encoder(source.inputs)[method.held_out].double()
    labels = source.labels[method.held_out]
    logits = rows @ first[0].double().T + first[1].double()
    weights = error_weights(logits, labels, gamma=3.0)
    weight, bias = descend_to_weighted(rows, labels, weights, start=first, pull=0.1, steps=7, learning_rate=0.05)
    told = method.after_training(source, None)
    torch.testing.assert_close(classifier.weight.detach(), weight.float())
    torch.testing.assert_close(classifier.bias.detach(), bias.float())
    missed = logits.argmax(1) != labels
    assert f"missed {int(missed.sum())}; these have {weights[missed].sum():.1%} of the weight" in told


def test_what_the_first_stage_misses_is_learnt_and_a_finished_run_stays(tmp_path):
    source = spurious_source(300)
    data = Dataset(source, {}, labelled=source)
    losses = {}
    for steps in (1, 500):
        method = make(AFR, source, pull=0.0, gamma=8.0, steps=steps, refit_learning_rate=1e-6 if steps == 1 else 0.02)
        run = fit(method, data, out=tmp_path / f"{steps}", training=TRAINING)
        rows = run.encoder(source.inputs[method.held_out])
        losses[steps] = cross_entropy(run.classifier(rows), source.labels[method.held_out]).detach()
    missed = losses[1] > math.log(2)
    assert missed.any()
    assert losses[500][missed].mean() < 0.7 * losses[1][missed].mean()
    assert "afr fit the last layer anew on 60 samples of spurious" in (tmp_path / "500" / "log.txt").read_text()
    before = load_classifier(tmp_path / "500").weight
    fit(make(AFR, source, pull=0.0, gamma=8.0), data, out=tmp_path / "500", training=TRAINING, resume=True)
    assert torch.equal(load_classifier(tmp_path / "500").weight, before)


def test_with_the_validation_part_the_encoder_is_that_of_supervised(tmp_path):
    source = spurious_source(100)
    data = Dataset(source, {}, labelled=source, validation=spurious_source(60, seed=2))
    training = TrainingOptions(epochs=2, batch_size=50, device="cpu", precision="32")
    torch.manual_seed(0)
    runs = [
        fit(method, data, out=tmp_path / method.name, training=training)
        for method in (make(AFR, source, refit_on="validation"), make(Supervised, source))
    ]
    torch.testing.assert_close(*(run.encoder(source.inputs) for run in runs))
    assert not torch.equal(*(run.classifier.weight for run in runs))
