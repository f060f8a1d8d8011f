"""The parameters of every network by their blocks, against the modules themselves."""

from __future__ import annotations

from typing import Any

import pytest
import timm
from torch import nn

from unconfound.data import Schema
from unconfound.encoders import Projected, build_encoder
from unconfound.encoders.blocks import blocks_of

IMAGES = Schema("images", (3, 64, 64))


def own(modules: Any) -> list[set[int]]:
    return [{id(each) for each in module.parameters()} for module in modules]


def ids(parameters: list[nn.Parameter]) -> set[int]:
    return {id(each) for each in parameters}


@pytest.mark.parametrize(
    ("name", "schema", "blocks"),
    [
        ("convnet", IMAGES, lambda network: network.blocks),
        ("resnet18", IMAGES, lambda it: [b for n in range(1, 5) for b in getattr(it.network, f"layer{n}")]),
        ("vit_tiny_patch16_224", IMAGES, lambda network: network.blocks),
        ("vit_small_patch16_dinov3", IMAGES, lambda network: network.blocks),
        ("resnet10t", IMAGES, lambda it: [b for n in range(1, 5) for b in getattr(it, f"layer{n}")]),
        ("mlp", Schema("tables", (5,)), lambda network: network.layers),
        ("transformer", Schema("text", (9,)), lambda network: network.layers),
        ("gin", Schema("graphs", (4,)), lambda it: [nn.ModuleList(p) for p in zip(it.networks, it.norms, strict=True)]),
        ("gru", Schema("series", (2,)), lambda network: [network.recurrent]),
    ],
)
def test_each_block_holds_its_own_parameters(name: str, schema: Schema, blocks: Any) -> None:
    encoder = build_encoder(name, schema)
    found = blocks_of(encoder)
    assert [ids(block) for block in found.blocks] == own(blocks(encoder.network.network))
    every = [*found.stem, *(each for block in found.blocks for each in block), *found.rest]
    assert len(every) == len(ids(every)) == len(list(encoder.parameters()))


def test_what_is_before_and_behind_the_blocks() -> None:
    encoder = build_encoder("vit_tiny_patch16_224", IMAGES)
    network: Any = encoder.network.network
    projection = encoder.wrap(Projected, features=3).projection
    found = blocks_of(encoder)
    assert ids(found.stem) == {*own([network.patch_embed])[0], id(network.cls_token), id(network.pos_embed)}
    assert ids(found.rest) == own([network.norm])[0] | own([projection])[0]
    resnet = build_encoder("resnet18", IMAGES)
    inner: Any = resnet.network.network
    assert ids(blocks_of(resnet).stem) == own([inner.network.conv1])[0] | own([inner.network.bn1])[0]
    assert not blocks_of(resnet).rest


def test_a_model_that_does_not_say_its_blocks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder("resnet10t", IMAGES)
    monkeypatch.setattr(timm.models.ResNet, "group_matcher", lambda self, coarse: None)
    with pytest.raises(ValueError, match="timm does not say what the blocks of 'resnet10t' are: leave --freeze-blocks"):
        blocks_of(encoder)
