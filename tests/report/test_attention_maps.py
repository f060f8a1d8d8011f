from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unconfound.data import MemorySource
from unconfound.encoders import Gated, build_encoder
from unconfound.evaluation.attention import foreground_shares
from unconfound.report import environment_tables
from unconfound.report.attention_maps import attention_part


def _pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)


def _encoder(schema, *, environments=2, depth=2):
    torch.manual_seed(0)
    encoder = build_encoder("convnet", schema, width=4, depth=depth)
    encoder.wrap(Gated, environments=environments)
    return encoder


def _left_half(data):
    source = data.tests["original"]
    source.masks = torch.zeros_like(source.masks)
    source.masks[..., :8] = True
    return source


@given(images=st.integers(1, 4), gates=st.integers(1, 3), side=st.integers(1, 4), seed=st.integers(0, 99))
def test_the_share_on_the_foreground_weighs_it_by_the_gate(images, gates, side, seed):
    generator = torch.Generator().manual_seed(seed)
    opened = torch.rand(gates, images, side, side, generator=generator)
    masks = torch.rand(images, 1, 3 * side, 3 * side, generator=generator) < 0.4
    shares, area = foreground_shares(opened, masks)
    for image in range(images):
        assert float(area[image]) == pytest.approx(float(masks[image].double().mean()))
        for gate in range(gates):
            whole = inside = 0.0
            for row in range(3 * side):
                for column in range(3 * side):
                    value = float(opened[gate, image, row // 3, column // 3])
                    whole, inside = whole + value, inside + value * bool(masks[image, 0, row, column])
            assert float(shares[gate, image]) == pytest.approx(inside / whole, abs=1e-6)


def test_a_flat_gate_has_the_foregrounds_area_and_a_closed_one_too():
    masks = torch.rand(3, 1, 10, 10) < 0.3
    for gate in (torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 3, 4, 4)):
        shares, area = foreground_shares(gate, masks)
        torch.testing.assert_close(shares[0], area)


def test_images_are_lit_by_the_gates_and_the_encoder_is_left_as_it_is(picture_data):
    source = _left_half(picture_data())
    encoder = _encoder(source.schema).train()
    part = attention_part(encoder, source, batch_size=5)
    assert encoder.training
    encoder.eval()
    assert part.titles == ("mean weights", "environment 0", "environment 1")
    assert len(part.shown) == 4
    with torch.no_grad():
        gated = encoder.wrapper(Gated)
        maps, attention = gated.maps(source.inputs), gated.attention
        mean, _ = attention.gates(maps, attention.mean_weights())
        own, _ = attention.gates(maps)
    gates = torch.cat([mean, own]).squeeze(2)
    places = [int(each.sample.name.split()[1]) for each in part.shown]
    # Gates of random weights are much alike, and are not to look as if they differed.
    assert float(gates.max() - gates.min()) < part.highest - part.lowest == pytest.approx(0.2)
    assert part.lowest + part.highest == pytest.approx(float(gates[:, places].min() + gates[:, places].max()), abs=1e-6)
    for place, each in zip(places, part.shown, strict=True):
        for gate, uri, low, high in zip(gates[:, place], each.gates, each.lowest, each.highest, strict=True):
            assert (low, high) == pytest.approx((float(gate.min()), float(gate.max())), abs=1e-6)
            pixels = _pixels(uri)
            grey = 0.4 * source.inputs[place].double().mean(0).numpy()
            brightest = np.unravel_index(int(gate.argmax()), gate.shape)
            size = 16 // gate.shape[0]
            strength = (float(gate.max()) - part.lowest) / (part.highest - part.lowest)
            row, column = brightest[0] * size, brightest[1] * size
            expected = (1 - 0.85 * strength) * grey[row, column] + 0.85 * strength * 255
            assert pixels[row, column, 0] == pytest.approx(expected, abs=2)


def test_gates_that_look_at_one_side_are_told_from_flat_ones(picture_data):
    source = _left_half(picture_data())
    encoder = _encoder(source.schema)
    half = torch.zeros(2, 1, 4, 4)
    half[..., :2] = 1
    # The mean weights are flat, environment 0 is open on the left, environment 1 on the right.
    flat = torch.full((1, 1, 1, 4, 4), 0.5)
    sides = torch.stack([0.1 + 0.8 * half[:1], 0.9 - 0.8 * half[:1]])

    def gates(maps, weights=None):
        spatial = flat if weights is not None else sides
        return spatial.expand(-1, len(maps), -1, -1, -1), None

    encoder.wrapper(Gated).attention.gates = gates
    part = attention_part(encoder, source)
    assert [round(figure.value, 3) for figure in part.shares] == [0.5, 0.9, 0.1]
    assert [round(figure.value, 3) for figure in part.differences] == [0.0, 0.4, -0.4]
    assert part.area.value == pytest.approx(0.5)
    assert "highest value differ by 0.00" in part.sentences[0]
    assert "hardly differs between positions" in part.sentences[0]
    assert part.sentences[1] == (
        "The foreground covers 50.0 % of these images, and 50.0 % of the gate lies on it: no difference from a gate "
        "that is the same everywhere is shown."
    )
    table = environment_tables.attention(part)
    assert [row.name for row in table.rows] == [
        "mean weights",
        "environment 0",
        "environment 1",
        "the foreground's area",
    ]
    assert [row.cells[0].text for row in table.rows] == ["50.0", "90.0", "10.0", "50.0"]
    assert (part.lowest, part.highest) == pytest.approx((0.1, 0.9))
    encoder.wrapper(Gated).attention.gates = lambda maps, weights=None: (
        gates(maps) if weights is None else (gates(maps)[0][:1], None)
    )
    said = attention_part(encoder, source).sentences
    assert "it differs between positions" in said[0]
    assert "90.0 % of the gate lies on it: 40.0 points more than for a gate that is the same everywhere." in said[1]


def test_without_masks_there_is_no_share(picture_data):
    source = picture_data(swaps=False).tests["test"]
    part = attention_part(_encoder(source.schema, environments=1), source)
    assert part.titles == ("mean weights",)
    assert len(part.sentences) == 1
    assert part.shares == ()
    assert environment_tables.attention(part) is None


def test_images_of_one_channel_and_of_floats(picture_data):
    schema = picture_data().train.schema
    for channels, floats in ((1, False), (3, True)):
        inputs = torch.rand(5, channels, 16, 16) if floats else torch.zeros(5, channels, 16, 16, dtype=torch.uint8)
        own = type(schema)("images", (channels, 16, 16), ("a",))
        part = attention_part(_encoder(own), MemorySource("any", own, inputs))
        assert len(part.shown) == 5


def test_a_single_place_is_no_picture(picture_data):
    source = picture_data(size=8).tests["original"]
    encoder = _encoder(source.schema, depth=4).eval()
    assert encoder.wrapper(Gated).maps(source.inputs[:1]).shape[2:] == (1, 1)
    part = attention_part(encoder, source)
    assert part.shown == ()
    assert "a single position" in part.sentences[0]


def test_nothing_without_attention_or_images(picture_data, table_data):
    source = picture_data().tests["original"]
    assert attention_part(build_encoder("convnet", source.schema, width=4, depth=2), source) is None
    assert attention_part(_encoder(source.schema), table_data.tests["test"]) is None
    assert attention_part(lambda images: images.flatten(1), source) is None
