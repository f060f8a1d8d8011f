"""The blocks of a network in their order from the input on, for what treats some of them apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from unconfound.encoders.convnet import ConvNet
from unconfound.encoders.encoder import Encoder, find_wrapper
from unconfound.encoders.gin import GIN
from unconfound.encoders.gru import GRU
from unconfound.encoders.mlp import MLP
from unconfound.encoders.normalized import Normalized
from unconfound.encoders.resnet import ResNet
from unconfound.encoders.transformer import Transformer
from unconfound.extras import require

# The names of our networks' parameters: those before the blocks, and those of a block, with its place in groups.
_STEMS = {ResNet: r"network\.(conv1|bn1)\.", Transformer: r"first\.", GRU: r"first\."}
_BLOCKS = {
    ConvNet: r"blocks\.(\d+)\.",
    MLP: r"layers\.(\d+)\.",
    ResNet: r"network\.layer(\d+)\.(\d+)\.",
    Transformer: r"layers\.(\d+)\.",
    GRU: r"recurrent\.\w+_l(\d+)",
    GIN: r"(?:networks|norms)\.(\d+)\.",
}
# By which timm marks what belongs to the block before (`timm.models.MATCH_PREV_GROUP`).
_PREVIOUS = 99999


@dataclass(frozen=True)
class Blocks:
    """The parameters of an encoder by where they are.

    Args:
        stem: those before the first block.
        blocks: those of each block, from the input on.
        rest: those behind the last block, and of what is put around the network.
    """

    stem: list[nn.Parameter]
    blocks: list[list[nn.Parameter]]
    rest: list[nn.Parameter]


def blocks_of(encoder: Encoder) -> Blocks:
    """Divide the parameters of an encoder.

    A block is a convolution of a convnet, a residual block of a ResNet, a layer of an mlp, a gin, a gru or a
    transformer; of timm's models what timm takes for one (`group_matcher`), a layer of a vision transformer.

    Raises:
        ValueError: a model of timm does not say what its blocks are.
    """
    normalized = find_wrapper(encoder, Normalized)
    assert normalized is not None
    network = normalized.network
    places = _places(network, encoder.architecture["name"])
    numbers = {place: number for number, place in enumerate(sorted({each for each in places.values() if each}))}
    blocks: list[list[nn.Parameter]] = [[] for _ in numbers]
    stem: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    inside = dict(network.named_parameters())
    for name, parameter in inside.items():
        place = places[name]
        (rest if place is None else stem if place == () else blocks[numbers[place]]).append(parameter)
    known = {id(parameter) for parameter in inside.values()}
    rest += [parameter for parameter in encoder.parameters() if id(parameter) not in known]
    return Blocks(stem, blocks, rest)


def _places(network: nn.Module, name: str) -> Mapping[str, tuple[int, ...] | None]:
    """Return of each parameter the place of its block; () of the stem, None of what is behind the blocks."""
    names = [each for each, _ in network.named_parameters()]
    kind = next((kind for kind in _BLOCKS if isinstance(network, kind)), None)
    if kind is None:
        return _places_of_timm(network, names, name)
    places: dict[str, tuple[int, ...] | None] = {}
    for each in names:
        found = re.match(_BLOCKS[kind], each)
        stem = kind in _STEMS and re.match(_STEMS[kind], each)
        places[each] = tuple(map(int, found.groups())) if found else () if stem else None
    return places


def _places_of_timm(network: nn.Module, names: list[str], name: str) -> dict[str, tuple[int, ...] | None]:
    matcher: Any = getattr(network, "group_matcher", None)
    patterns = None if matcher is None else matcher(coarse=False)
    if not isinstance(patterns, dict):
        raise ValueError(
            f"timm does not say what the blocks of {name!r} are: leave --freeze-blocks and --layer-decay out"
        )
    models = require("timm.models", extra="images")
    layers = models.group_parameters(network, patterns, reverse=True)
    matched = {each: _pattern_of(each, patterns) for each in names}
    last = max((layers[each] for each in names if matched[each] is not None), default=0)
    places: dict[str, tuple[int, ...] | None] = {}
    for each in names:
        found = matched[each]
        # timm counts the norm behind the last block to that block; here it is behind, as in BEiT.
        behind = found is None or (found[1] is not None and layers[each] == last and found[1][0] == _PREVIOUS)
        places[each] = None if behind else () if found and found[0] == "stem" else (layers[each],)
    return places


def _pattern_of(name: str, patterns: Mapping[str, Any]) -> tuple[str, tuple[int, ...] | None] | None:
    """Return the group that timm's patterns put a parameter into, with what is added to its number; None: none."""
    for group, spec in patterns.items():
        for pattern, added in [(spec, None)] if isinstance(spec, str) else spec or ():
            if re.match(pattern, name):
                return group, added
    return None
