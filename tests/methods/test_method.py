from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest
import torch

from methods.toy import GRAPHS, GROUPED, IMAGES, ROWS, convnet, image_source
from unconfound.encoders import build_encoder
from unconfound.methods import METHODS, Method, Phase, Step
from unconfound.methods.parts.classifying import Classifier
from unconfound.methods.parts.held_out import HeldOutClassifier
from unconfound.methods.parts.multi_crop import MultiCropMethod
from unconfound.methods.parts.two_views import TwoViewMethod


class Smallest(Method):
    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.encoder = encoder

    def forward(self, batch, phase="train"):
        return Step(self.encoder(batch.inputs).square().mean())


def test_what_a_method_need_not_say():
    method = Smallest(convnet(), IMAGES)
    (phase,) = method.phases()
    assert phase == Phase("train", tuple(method.parameters()), every=1, own_pass=True, learning_rate=None)
    assert method.before_epoch(0, image_source()) is None
    assert method.after_update() is None
    assert method.sampling_weights(image_source(), "train") is None
    assert method.after_training(image_source(), None) is None
    assert method.needs_labels is False
    assert method.needs_groups is False
    assert method.synchronize_batch_norm is True


def test_a_method_must_have_a_loss():
    class Nothing(Method):
        def __init__(self, encoder, schema, options=None):
            super().__init__(encoder, schema)

    with pytest.raises(TypeError, match="abstract"):
        Nothing(convnet(), IMAGES)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_final_and_has_its_name_and_documented_options(name):
    kind = METHODS[name]
    assert kind.name == name
    assert kind.__bases__ in {(Method,), (TwoViewMethod,), (MultiCropMethod,), (Classifier,), (HeldOutClassifier,)}
    assert kind.__final__
    assert is_dataclass(kind.Options)
    assert kind.Options.__dataclass_params__.frozen
    assert kind.__doc__
    schema = {"scarf": ROWS, "infograph": GRAPHS}.get(name, GROUPED)
    method = kind(build_encoder("convnet" if schema is GROUPED else "auto", schema, width=4, depth=2), schema)
    assert method.options == kind.Options()
    assert all(field.kw_only for field in fields(kind.Options))
    assert isinstance(method.encoder, torch.nn.Module)
