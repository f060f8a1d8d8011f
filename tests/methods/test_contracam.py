from __future__ import annotations

import pytest
import torch
from training.toy import metrics
from training.toy_methods import Interrupted

from methods.toy import IMAGES, ROWS, convnet, image_batch, image_source, mlp
from unconfound.data import Dataset
from unconfound.functional.contrastive import nt_xent
from unconfound.methods import ContraCAM
from unconfound.methods.contracam import ContraCAMOptions
from unconfound.methods.parts.model_saliency import contrastive_saliency
from unconfound.training import TrainingOptions, TrainingStopped, fit
from unconfound.views.salient import crop_to_salient, mix_backgrounds


def _method(**options):
    torch.manual_seed(0)
    return ContraCAM(convnet(), IMAGES, ContraCAMOptions(projection_features=5, **options))


def test_each_model_has_its_phase_and_both_start_alike():
    method = _method(localization_epochs=3)
    first, second = method.phases()
    assert (first.name, first.start, first.stop) == ("localize", 0, 3)
    assert (second.name, second.start, second.stop) == ("train", 3, None)
    assert {*first.parameters, *second.parameters} == set(method.parameters())
    for ours, theirs in zip(second.parameters, first.parameters, strict=True):
        assert torch.equal(ours, theirs)
        assert ours is not theirs


def test_the_first_model_contrasts_two_views():
    method, batch = _method(), image_batch(8)
    torch.manual_seed(3)
    step = method(batch, "localize")
    torch.manual_seed(3)
    first, second = method.first(method.views(batch.inputs)).chunk(2)
    torch.testing.assert_close(step.loss, nt_xent(first, second, temperature=0.5))
    step.loss.backward()
    assert {name.partition(".")[0] for name, each in method.named_parameters() if each.grad is not None} == {"first"}


@pytest.mark.parametrize("crops", ["any", "object"])
def test_the_second_model_contrasts_mixed_with_whole_images(crops):
    method, batch = _method(mixed_share=0.7, crops=crops, iterations=2), image_batch(8)
    saliency = contrastive_saliency(method.first, batch.inputs, iterations=2)
    torch.manual_seed(3)
    step = method(batch)
    torch.manual_seed(3)
    mixed, whole = mix_backgrounds(batch.inputs, saliency, share=0.7), batch.inputs / 255.0
    assert not torch.equal(mixed, whole)
    if crops == "object":
        mixed, whole = (crop_to_salient(each, saliency, size=8) for each in (mixed, whole))
    views = torch.cat([method.views(each, count=1) for each in (mixed, whole)])
    first, second = method.head(method.encoder(views)).chunk(2)
    torch.testing.assert_close(step.loss, nt_xent(first, second, temperature=0.5))
    torch.testing.assert_close(step.scalars["salient"], (saliency >= 0.2).float().mean())
    step.loss.backward()
    moved = {name.partition(".")[0] for name, each in method.named_parameters() if each.grad is not None}
    assert moved == {"encoder", "head"}


def test_it_trains_and_goes_on_where_it_stopped(tmp_path):
    data = Dataset(image_source(32), {})
    training = TrainingOptions(epochs=2, batch_size=16, device="cpu", precision="32", checkpoint_seconds=0, log_every=1)
    whole, stopped, again = (_method(localization_epochs=1) for _ in range(3))
    fit(whole, data, out=tmp_path / "whole", training=training)
    assert [row["phase"] for row in metrics(tmp_path / "whole")] == ["localize"] * 2 + ["train"] * 2
    with pytest.raises(TrainingStopped):
        fit(Interrupted(stopped, at=3), data, out=tmp_path / "run", training=training)
    fit(Interrupted(again, at=-1), data, out=tmp_path / "run", training=training, resume=True)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="contracam tells the samples of a batch apart, and this batch holds one"):
        _method()(image_batch(1))
    with pytest.raises(ValueError, match="contracam makes its views by image augmentation, the data are tables"):
        ContraCAM(mlp(), ROWS)
