from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from training.toy import checkpoint, metrics
from training.toy_methods import Interrupted

from methods.toy import GROUPED, convnet, grouped_batch, grouped_source, spurious_source
from unconfound.data import Dataset
from unconfound.encoders import build_encoder
from unconfound.methods import JTT
from unconfound.methods.jtt import JTTOptions
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.training.saved_method import load_method


def _method(schema=GROUPED, *, seed=0, **options):
    torch.manual_seed(seed)
    return JTT(convnet(schema, seed=seed), schema, JTTOptions(**options))


def test_each_model_has_its_phase_and_both_start_alike():
    method = _method(identification_epochs=3)
    first, second = method.phases()
    assert (first.name, first.start, first.stop) == ("identify", 0, 3)
    assert (second.name, second.start, second.stop) == ("train", 3, None)
    assert set(first.parameters).isdisjoint(second.parameters)
    assert {*first.parameters, *second.parameters} == set(method.parameters())
    for ours, theirs in zip(method.encoder.parameters(), method.first[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("phase", ["identify", "train"])
def test_a_step_is_cross_entropy_of_one_of_the_models(phase):
    method = _method().double()
    batch = grouped_batch(9)
    batch = replace(batch, inputs=batch.inputs.double() / 255, groups=None)
    step = method(batch, phase)
    model = method.first if phase == "identify" else torch.nn.Sequential(method.encoder, method.linear_classifier())
    torch.testing.assert_close(step.loss, F.cross_entropy(model(batch.inputs), batch.labels))
    step.loss.backward()
    moved = {name.partition(".")[0] for name, p in method.named_parameters() if p.grad is not None}
    assert moved == ({"first"} if phase == "identify" else {"encoder", "head"})


def test_what_the_first_model_misses_is_found_once_it_is_trained():
    method, source = _method(identification_epochs=2, upweight=5.0), grouped_source(33)
    for epoch in (0, 1, 3):
        method.before_epoch(epoch, source)
        assert len(method.errors) == 0
    assert method.sampling_weights(source, "identify") is None
    method.before_epoch(2, source)
    with torch.no_grad():
        wrong = method.first.eval()(source.inputs).argmax(1) != source.labels
    assert torch.equal(method.errors, wrong)
    assert method.encoder.training
    weights = method.sampling_weights(source, "train")
    assert weights.tolist() == [5.0 if each else 1.0 for each in wrong]
    for label in range(3):
        share = wrong[source.labels == label].float().mean()
        torch.testing.assert_close(method.error_shares[label], share)
    scalars = method(grouped_batch(6)).scalars
    assert scalars["inferred_errors"].item() == wrong.sum()
    torch.testing.assert_close(scalars["error_share_b"], method.error_shares[1])


def test_errors_are_saved_whatever_their_number():
    method, fresh = _method(), _method(seed=1)
    fresh.load_state_dict(method.state_dict())
    method.before_epoch(1, grouped_source(33))
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.errors, method.errors)
    nested = torch.nn.Sequential(_method(seed=2))
    nested.load_state_dict(torch.nn.Sequential(method).state_dict())
    assert torch.equal(nested[0].errors, method.errors)
    with pytest.raises(RuntimeError, match="Missing key"):
        fresh.load_state_dict({})


def test_other_data_than_the_errors_are_of_are_refused():
    method = _method()
    method.before_epoch(1, grouped_source(33))
    with pytest.raises(ValueError, match="errors on 33 samples, toys has 40: train and resume with the same data"):
        method.sampling_weights(grouped_source(40), "train")


def test_an_inferred_group_that_is_no_minority_raises_an_alarm():
    method, source = _method(), grouped_source(33)
    assert method.alarm() is None
    method.before_epoch(1, replace(source, labels=(source.labels + 1) % 3))
    method.errors = torch.arange(33) < 20
    assert method.alarm().startswith("jtt's first model errs on 20 of 33 training samples, which is no minority")
    assert "train it for more --identification-epochs" in method.alarm()
    method.errors = torch.zeros(33, dtype=torch.bool)
    assert "errs on none of 33" in method.alarm()
    assert "train it for fewer" in method.alarm()
    method.errors = torch.arange(33) < 5
    assert method.alarm() is None
    # Without errors all samples are alike.
    method.errors = torch.zeros(33, dtype=torch.bool)
    assert method.sampling_weights(source, "train").unique().tolist() == [1.0]


def test_the_minority_is_found_and_learnt_and_a_stopped_run_goes_on(tmp_path):
    source, test = spurious_source(400), spurious_source(2000, minority=0.5, seed=1)
    data = Dataset(source, {}, labelled=source)
    training = TrainingOptions(
        epochs=10, batch_size=50, learning_rate=0.02, device="cpu", precision="32", log_every=4, checkpoint_seconds=0
    )

    def make(upweight):
        torch.manual_seed(0)
        encoder = build_encoder("mlp", source.schema, width=8, depth=1)
        return JTT(encoder, source.schema, JTTOptions(identification_epochs=2, upweight=upweight))

    worst = []
    for upweight in (1.0, 10.0):
        method = make(upweight)
        found = fit(method, data, out=tmp_path / f"{upweight}", training=training)
        right = found.classifier(found.encoder(test.inputs)).argmax(1) == test.labels
        worst.append(min(right[test.groups == group].float().mean().item() for group in range(4)))
    minority = (source.groups == 1) | (source.groups == 2)
    assert (method.errors & minority).sum() > 0.8 * method.errors.sum()
    assert (method.errors & minority).sum() > 0.5 * minority.sum()
    assert worst[1] > worst[0] + 0.1
    rows = metrics(tmp_path / "10.0")
    assert {row["phase"] for row in rows} == {"identify", "train"}
    assert float(rows[-1]["inferred_errors"]) == method.errors.sum()
    assert torch.equal(checkpoint(tmp_path / "10.0")["state"]["method"]["errors"], method.errors)
    assert torch.equal(load_method(tmp_path / "10.0").errors, method.errors)

    # In the middle of the second model's epochs: its errors are those of the checkpoint.
    with pytest.raises(TrainingStopped):
        fit(Interrupted(make(10.0), at=45), data, out=tmp_path / "run", training=training)
    again = make(10.0)
    fit(Interrupted(again, at=-1), data, out=tmp_path / "run", training=training, resume=True)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in method.state_dict().items())


def test_too_few_epochs_for_both_models_are_refused(tmp_path):
    data = Dataset(grouped_source(), {}, labelled=grouped_source())
    training = TrainingOptions(epochs=2, device="cpu")
    with pytest.raises(ValueError, match="2 epochs do not reach the phase"):
        fit(_method(identification_epochs=2), data, out=tmp_path / "run", training=training)
