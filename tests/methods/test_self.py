from __future__ import annotations

import math

import pytest
import torch
from training.toy_methods import Interrupted

from methods.parts.test_held_out import make
from methods.toy import spurious_source
from unconfound.data import Dataset
from unconfound.functional.disagreement import disagreement
from unconfound.methods import SELF
from unconfound.methods.parts.labelled import cross_entropy
from unconfound.training import TrainingOptions, TrainingStopped, fit

TRAINING = TrainingOptions(
    epochs=4, batch_size=50, learning_rate=0.02, device="cpu", precision="32", checkpoint_seconds=0
)


def _selected(method, source, *, count):
    """Run the refit and return the positions of the samples that the last layer was tuned on."""
    seen = []
    tuned = method._tuned
    method._tuned = lambda rows, labels, *layer: seen.append(rows) or tuned(rows, labels, *layer)
    method.after_training(source, None)
    with torch.no_grad():
        rows = method.encoder(source.inputs).double()
    assert len(seen[0]) == count
    return {int((rows - row).abs().sum(1).argmin()) for row in seen[0]}


@pytest.mark.parametrize(
    "select", ["early-stop-disagreement", "early-stop-misclassification", "misclassification", "dropout-disagreement"]
)
def test_the_samples_of_the_highest_scores_are_selected(select):
    source = spurious_source(150)
    method = make(SELF, source, select=select, selected=6, steps=2)
    method.before_epoch(0, source)
    method.eval()
    if method.early is not None:
        with torch.no_grad():
            for parameter in method.early.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    held = method.held_out.nonzero().flatten()
    with torch.no_grad():
        embeddings = method.encoder(source.inputs[held]).double()
        layer = method.linear_classifier()
        weight, bias = layer.weight.double().clone(), layer.bias.double().clone()
        logits = embeddings @ weight.T + bias
        early = logits if method.early is None else method.early(source.inputs[held]).double()
        torch.manual_seed(7)
        if select == "dropout-disagreement":
            early = torch.nn.functional.dropout(embeddings, 0.5) @ weight.T + bias
    if select.endswith("misclassification"):
        scores = -early.log_softmax(1)[torch.arange(len(held)), source.labels[held]]
    else:
        scores = disagreement(logits, early)
    torch.manual_seed(7)
    found = _selected(method, source, count=6)
    assert found == set(held[scores.topk(6).indices].tolist())


def test_the_early_model_is_that_of_its_share_of_the_training(tmp_path):
    source = spurious_source(200)
    data = Dataset(source, {}, labelled=source)

    def run(name, **options):
        method = make(SELF, source, **options)
        fit(method, data, out=tmp_path / name, training=TRAINING)
        return method.early.state_dict()

    early, first = (run(f"{share}", early_share=share) for share in (0.25, 0.0))
    fresh = torch.nn.Sequential(*(make(SELF, source).early)).state_dict()
    assert all(torch.equal(first[key], value) for key, value in fresh.items())
    assert not torch.equal(early["1.weight"], first["1.weight"])
    # Stopped after the early model was taken, and gone on with.
    stopped, again = (make(SELF, source, early_share=0.25) for _ in range(2))
    with pytest.raises(TrainingStopped):
        fit(Interrupted(stopped, at=10), data, out=tmp_path / "run", training=TRAINING)
    fit(Interrupted(again, at=-1), data, out=tmp_path / "run", training=TRAINING, resume=True)
    assert all(torch.equal(value, again.early.state_dict()[key]) for key, value in early.items())
    assert "early" not in {name for name, _ in make(SELF, source, select="misclassification").named_children()}


def test_selected_samples_are_learnt_better(tmp_path):
    source = spurious_source(300)
    data = Dataset(source, {}, labelled=source)
    method = make(SELF, source, select="misclassification", selected=12)
    seen, tuned = [], method._tuned
    method._tuned = lambda rows, labels, *layer: seen.append((rows, labels, *layer)) or tuned(rows, labels, *layer)
    run = fit(method, data, out=tmp_path / "run", training=TRAINING)
    rows, labels, weight, bias = seen[0]
    before = cross_entropy(rows @ weight.T + bias, labels)
    after = cross_entropy(run.classifier(rows.float()).detach(), labels)
    assert after[before > math.log(2)].mean() < before[before > math.log(2)].mean()
    told = (tmp_path / "run" / "log.txt").read_text()
    assert "self tuned the last layer on 12 of 60 samples of spurious, selected by misclassification" in told


def test_classes_are_equally_frequent_while_the_last_layer_is_tuned():
    source = spurious_source(100)
    method = make(SELF, source, steps=400, refit_batch_size=16, refit_learning_rate=0.01)
    rows = torch.zeros(40, 8, dtype=torch.float64)
    labels = torch.tensor([0] * 38 + [1] * 2)
    zeros = torch.zeros(2, 8, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    # Where embeddings tell nothing, the bias shows how often each class was drawn.
    _, bias = method._tuned(rows, labels, *zeros)
    share = bias.softmax(0)[1].item()
    assert 0.3 < share < 0.7
