from __future__ import annotations

import copy

import pytest
import torch

from methods.toy import IMAGES, ROWS, convnet, image_batch, image_source, mlp
from unconfound.data import MemorySource, Schema
from unconfound.encoders import build_encoder
from unconfound.methods import Random
from unconfound.methods.random import RandomOptions


def test_weights_stay_bit_identical_and_statistics_move():
    method = Random(convnet(), IMAGES)
    before = copy.deepcopy(method.encoder.state_dict())
    method.before_epoch(0, image_source())
    after = method.encoder.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[2] for name in moved} == {"running_mean", "running_var", "num_batches_tracked"}
    assert len(moved) == 6


def test_statistics_are_those_of_the_data():
    source = image_source(200)
    method = Random(convnet(), IMAGES)
    method.before_epoch(0, source)
    blocks = method.encoder.network.network.blocks
    maps = blocks[0][0](source.inputs / 255)
    torch.testing.assert_close(blocks[0][1].running_mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(blocks[0][1].running_var, maps.var((0, 2, 3)), rtol=1e-4, atol=1e-6)
    assert blocks[0][1].momentum == 0.1


def test_it_is_deterministic_whatever_was_drawn_before():
    states = []
    for seed in (1, 2):
        method = Random(convnet(), IMAGES, RandomOptions(batches=1))
        torch.manual_seed(seed)
        method.before_epoch(0, image_source(600))
        states.append(method.encoder.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert int(states[0]["network.network.blocks.0.1.num_batches_tracked"]) == 1


def test_the_mode_is_left_as_it_was():
    method = Random(convnet().eval(), IMAGES)
    method.before_epoch(0, image_source())
    assert not method.encoder.training


def test_a_network_without_batch_norm_and_rows_will_do():
    Random(mlp(), ROWS).before_epoch(0, MemorySource("rows", ROWS, torch.randn(20, 5)))
    schema = Schema("images", (3, 32, 32))
    encoder = build_encoder("vit_tiny_patch16_224", schema)
    Random(encoder, schema).before_epoch(0, MemorySource("images", schema, torch.rand(4, 3, 32, 32)))


def test_nothing_is_learnt():
    method = Random(convnet(), IMAGES)
    assert method.phases() == ()
    with pytest.raises(TypeError, match="random has no loss"):
        method(image_batch())
    with pytest.raises(ValueError, match="batches must be at least 1, got 0"):
        Random(convnet(), IMAGES, RandomOptions(batches=0))
