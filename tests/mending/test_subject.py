from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mending.toy import read_both, row_data
from unconfound.encoders import build_encoder, save_classifier, save_encoder
from unconfound.mending.mended_run import write_mended
from unconfound.mending.remedies import Remedy
from unconfound.mending.subject import subject_of


def test_a_function_is_what_it_is_and_cannot_be_saved():
    subject = subject_of("read_both", row_data(), function=read_both, config={})
    assert (subject.name, subject.encoder, subject.classifier, subject.origin) == ("read_both", read_both, None, None)


def test_a_run_comes_with_its_classifier(tmp_path):
    data, classifier = row_data(), nn.Linear(3, 2)
    save_classifier(tmp_path, classifier)
    encoder = build_encoder("mlp", data.train.schema, width=3)
    save_encoder(tmp_path, encoder, schema=data.train.schema, restore={}, provenance={"seed": 4})
    subject = subject_of(str(tmp_path), data, config={"method": "random"})
    assert torch.equal(subject.classifier.weight, classifier.weight)
    assert subject.origin.encoder is subject.encoder
    assert subject.origin.card.provenance["seed"] == 4


def test_a_named_encoder_is_built_for_the_data():
    data = replace(row_data(), restore={"kind": "rows"})
    subject = subject_of("mlp", data, config={"method": "random"})
    assert subject.classifier is None
    assert subject.encoder(data.train.inputs[:3]).shape == (3, subject.origin.card.features)
    assert subject.origin.card.restore == {"kind": "rows"}
    assert not subject.origin.card.provenance["trained"]
    assert not subject.encoder.training


def test_only_images_are_read_by_an_onnx_file(tmp_path):
    with pytest.raises(ValueError, match="is run on images, the data are tables"):
        subject_of(str(tmp_path / "a.onnx"), row_data(), config={})


def test_of_a_function_the_remedy_alone_is_written(tmp_path):
    subject = subject_of("read_both", row_data(), function=read_both, config={})
    write_mended(subject, Remedy(None, nn.Linear(9, 2)), out=tmp_path / "new", how={"way": "refit"}, classes=("a", "b"))
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"remedy.json", "classifier.safetensors"}
    assert not (tmp_path / "new" / "encoder.json").exists()
