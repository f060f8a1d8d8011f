from __future__ import annotations

import pytest
import torch

from methods.toy import GRAPHS, IMAGES, MODALITIES, ROWS, convnet, graph_batch, image_batch, mlp, rows_batch, small
from unconfound.data import Batch, Schema
from unconfound.encoders import build_encoder
from unconfound.functional.contrastive import nt_xent
from unconfound.methods import DACL
from unconfound.methods.dacl import DACLOptions


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("modality", MODALITIES)
def test_the_loss_is_nt_xent_of_the_projections_of_two_mixed_views(modality, temperature):
    encoder, schema, batch = MODALITIES[modality]
    method = DACL(encoder(), schema, DACLOptions(temperature=temperature, projection_features=5))
    batch = batch()
    torch.manual_seed(11)
    step = method(batch)
    torch.manual_seed(11)
    if modality in ("images", "tables"):
        inputs = batch.inputs / 255 if modality == "images" else batch.inputs
        embeddings = method.encoder(method.views(inputs))
        projections = method.head(embeddings)
    else:
        embeddings = method.encoder(batch.inputs)
        projections = method.head(method.views(embeddings))
    assert projections.shape == (2 * len(batch), 5)
    torch.testing.assert_close(step.loss, nt_xent(*projections.chunk(2), temperature=temperature))
    torch.testing.assert_close(step.embeddings, embeddings.detach())
    assert not step.embeddings.requires_grad


@pytest.mark.parametrize("modality", MODALITIES)
def test_encoder_and_head_are_learnt_in_one_phase(modality):
    encoder, schema, batch = MODALITIES[modality]
    method = DACL(encoder(), schema)
    (phase,) = method.phases()
    assert set(phase.parameters) == set(method.encoder.parameters()) | set(method.head.parameters())
    method(batch(), phase.name).loss.backward()
    without = [name for name, each in method.named_parameters() if each.grad is None]
    assert not without
    assert all(parameter.grad.isfinite().all() for parameter in phase.parameters)
    assert sum(bool(parameter.grad.abs().sum() > 0) for parameter in phase.parameters) > len(phase.parameters) / 2


@pytest.mark.parametrize(("mix", "rows"), [("input", 12), ("representation", 6)])
def test_the_encoder_sees_a_sample_twice_or_once_and_in_one_pass(mix, rows):
    method = DACL(mlp(), ROWS, DACLOptions(mix=mix))
    seen = []
    method.encoder.register_forward_hook(lambda _module, given, _out: seen.append(len(given[0])))
    heads = []
    method.head.register_forward_hook(lambda _module, given, _out: heads.append(len(given[0])))
    method(rows_batch())
    assert seen == [rows]
    assert heads == [12]


def test_a_graph_is_encoded_once():
    method = DACL(small(GRAPHS), GRAPHS)
    seen = []
    method.encoder.register_forward_hook(lambda _module, given, _out: seen.append(len(given[0])))
    method(graph_batch(5))
    assert seen == [5]


def test_images_are_mixed_before_they_are_normalised():
    method = DACL(convnet(), IMAGES, DACLOptions(functions=("geometric",)))
    method.encoder.network.mean.fill_(0.5)
    seen = []
    method.views.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    method(image_batch())
    assert seen[0].min() >= 0
    assert seen[0].max() <= 1


def test_the_columns_of_the_table_reach_the_binary_mix():
    schema = Schema("tables", (4,), columns=(1, 3))
    torch.manual_seed(0)
    method = DACL(build_encoder("mlp", schema, width=8, depth=2), schema, DACLOptions(functions=("binary",), keep=0.5))
    rows = torch.cat([torch.rand(30, 1), torch.eye(3).repeat(10, 1)], 1)
    seen = []
    method.encoder.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
    method(Batch(rows, torch.arange(30)))
    assert (seen[0][:, 1:].sum(1) == 1).all()


def test_views_are_drawn_anew_by_torch_s_generator():
    method = DACL(mlp(), ROWS)

    def loss(seed):
        torch.manual_seed(seed)
        return method(rows_batch()).loss.item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_batch_of_one_is_refused_and_of_two_is_learnt_from(modality):
    encoder, schema, batch = MODALITIES[modality]
    method = DACL(encoder(), schema)
    with pytest.raises(ValueError, match=r"this batch holds one( sample)?: use at least two"):
        method(batch(1))
    step = method(batch(2))
    assert step.loss.isfinite()
    step.loss.backward()


@pytest.mark.parametrize("modality", ["graphs", "series", "text"])
def test_what_has_no_common_shape_is_mixed_at_the_representation_alone(modality):
    encoder, schema, _ = MODALITIES[modality]
    with pytest.raises(ValueError, match=f"{modality} have no common shape to be mixed in: use --mix representation"):
        DACL(encoder(), schema, DACLOptions(mix="input"))
    with pytest.raises(ValueError, match=r"a geometric mix is undefined.*--functions linear binary"):
        DACL(encoder(), schema, DACLOptions(functions=("linear", "geometric")))
    assert DACL(encoder(), schema, DACLOptions(functions=("linear", "binary"))).at_representation


def test_negative_values_cannot_be_mixed_geometrically():
    method = DACL(mlp(), ROWS, DACLOptions(functions=("geometric",)))
    with pytest.raises(ValueError, match="values of at least 0, x goes down to"):
        method(Batch(rows_batch().inputs - 1, torch.arange(6)))
