"""The rate of each parameter, and what freezing keeps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from methods.toy import IMAGES, image_source

from unconfound.data import Dataset, Schema
from unconfound.encoders import Encoder, build_encoder
from unconfound.methods import CIM, Metric, Phase, SimCLR, Supervised
from unconfound.methods.metric.metric import MetricOptions
from unconfound.training import TrainingOptions, fit
from unconfound.training.learning_rates import freeze, layer_scales
from unconfound.training.optimizers import build_optimizer, set_learning_rate

LARGER = Schema("images", (3, 32, 32), ("a", "b", "c"))


def _layer(name: str, kind: str, count: int) -> int:
    """BEiT's number of the layer of a parameter, from its name, written down by hand for each network."""
    patterns = {
        "vit_tiny_patch16_224": (r"(cls_token|pos_embed|patch_embed)", r"blocks\.(\d+)\."),
        "resnet18": (r"network\.(conv1|bn1)\.", r"network\.layer(\d)\.(\d)\."),
        "convnet": (r"never", r"blocks\.(\d+)\."),
    }
    stem, block = (re.match(pattern, name) for pattern in patterns[kind])
    if stem:
        return 0
    if block is None:
        return count + 1
    place = [int(group) for group in block.groups()]
    # A ResNet-18 has two residual blocks in each of four layers, which are counted from 1.
    return 1 + (place[0] if len(place) == 1 else 2 * (place[0] - 1) + place[1])


@pytest.mark.parametrize(("kind", "count"), [("vit_tiny_patch16_224", 12), ("resnet18", 8), ("convnet", 4)])
def test_each_parameter_has_the_rate_of_beit(kind: str, count: int) -> None:
    encoder = build_encoder(kind, LARGER)
    method = Supervised(encoder, LARGER)
    options = TrainingOptions(learning_rate=0.01, layer_decay=0.65)
    optimizer = build_optimizer(method.phases()[0], options, scales=layer_scales(encoder, 0.65))
    assert set_learning_rate(optimizer, 0.5) == pytest.approx(0.005)
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    inner = dict(encoder.network.network.named_parameters())
    assert len(rates) == len(list(method.parameters()))
    for name, parameter in inner.items():
        expected = 0.005 * 0.65 ** (count + 1 - _layer(name, kind, count))
        assert rates[parameter] == pytest.approx(expected), name
    for parameter in method.head.parameters():
        assert rates[parameter] == pytest.approx(0.005)
    decays = {each: group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert all((decay > 0) == (parameter.ndim > 1) for parameter, decay in decays.items())


def test_without_decay_nothing_changes() -> None:
    assert layer_scales(build_encoder("convnet", IMAGES), 1.0) == {}


def _trained(encoder: Encoder, method: type, tmp_path: Path, **options: Any) -> set[str]:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    training = TrainingOptions(epochs=1, batch_size=16, device="cpu", **options)
    data = Dataset(image_source(32), {}, labelled=image_source(32))
    fitted = fit(method(encoder, IMAGES), data, out=tmp_path / "run", training=training)
    known = {name: value for name, value in fitted.encoder.state_dict().items() if name in before}
    return {name for name, value in known.items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("method", [SimCLR, Supervised])
def test_a_frozen_encoder_keeps_its_weights_and_its_statistics(method: type, tmp_path: Path) -> None:
    moved = _trained(build_encoder("convnet", IMAGES, width=4), method, tmp_path, freeze_encoder=True)
    assert not moved


def test_the_first_blocks_are_kept_and_all_others_learn(tmp_path: Path) -> None:
    encoder = build_encoder("convnet", IMAGES, width=4)
    moved = _trained(encoder, SimCLR, tmp_path, freeze_blocks=2, optimizer="sgd")
    assert not [name for name in moved if name.startswith(("network.network.blocks.0", "network.network.blocks.1"))]
    for name in ("blocks.2.0.weight", "blocks.3.1.bias", "blocks.2.1.running_mean"):
        assert f"network.network.{name}" in moved


def test_what_a_method_puts_around_a_frozen_encoder_learns() -> None:
    encoder = build_encoder("convnet", LARGER, width=4)
    for method in (Metric(encoder, LARGER, MetricOptions(features=3)), CIM(build_encoder("convnet", LARGER), LARGER)):
        freeze(method.encoder, TrainingOptions(freeze_encoder=True))
        learnt = [name for name, each in method.encoder.named_parameters() if each.requires_grad]
        assert learnt
        assert not [name for name in learnt if ".blocks." in name]


def test_modes_stay_whatever_is_asked_for() -> None:
    encoder = build_encoder("mlp", Schema("tables", (5,)), width=4)
    freeze(encoder, TrainingOptions(freeze_blocks=1))
    encoder.train()
    norms = [module for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    assert [norm.training for norm in norms] == [False, True, True]


def test_mistakes_are_told() -> None:
    encoder = build_encoder("convnet", IMAGES, width=4)
    with pytest.raises(
        ValueError, match="--freeze-blocks 5 is more than the 4 blocks of convnet: use --freeze-encoder"
    ):
        freeze(encoder, TrainingOptions(freeze_blocks=5))
    with pytest.raises(
        ValueError, match="--freeze-encoder keeps all blocks, --freeze-blocks 2 some: leave one of them"
    ):
        TrainingOptions(freeze_encoder=True, freeze_blocks=2)
    freeze(encoder, TrainingOptions(freeze_encoder=True))
    with pytest.raises(ValueError, match="nothing is left to learn in the phase train: freeze less of the encoder"):
        build_optimizer(Phase("train", tuple(encoder.parameters())), TrainingOptions())
