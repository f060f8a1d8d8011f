"""Weights from a file: all of them arrive, the classifier stays behind, and anything else is told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.encoders import build_encoder, load_encoder, save_encoder
from unconfound.options.encoders import EncoderOptions

SCHEMA = Schema("images", (3, 112, 112))


def write(path: Path, network: nn.Module, **changed: Tensor | None) -> Path:
    """Save a network's weights, some of them changed or left out."""
    state = {**network.state_dict(), **changed}
    save_file({name: weight for name, weight in state.items() if weight is not None}, path)
    return path


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_the_network_computes_what_the_published_one_does(name: str, tmp_path: Path) -> None:
    side = 224 if name.startswith("vit") else 112
    torch.manual_seed(0)
    published = torchvision.models.resnet18() if name == "resnet18" else timm.create_model(name)
    # Statistics as a training leaves them.
    with torch.no_grad():
        published.train()(torch.randn(8, 3, side, side))
    schema = Schema("images", (3, side, side))
    encoder = build_encoder(name, schema, pretrained=write(tmp_path / "w.safetensors", published))
    images = torch.rand(2, 3, side, side)
    published.eval()
    if name == "resnet18":
        published.fc = nn.Identity()
    else:
        published.reset_classifier(0)
    mean, deviation = encoder.network.mean.view(3, 1, 1), encoder.network.deviation.view(3, 1, 1)
    expected = published((images - mean) / deviation)
    torch.testing.assert_close(encoder.eval()(images), expected, rtol=1e-4, atol=1e-5)
    # Published weights bring the scale of their images.
    assert encoder.network.mean.tolist() != [0, 0, 0]
    # What is saved needs the file no more.
    save_encoder(tmp_path / "run", encoder, schema=schema)
    (tmp_path / "w.safetensors").unlink()
    torch.testing.assert_close(load_encoder(tmp_path / "run")(images), expected, rtol=1e-4, atol=1e-5)


def test_files_from_before_batches_were_counted_are_taken(tmp_path: Path) -> None:
    network = torchvision.models.resnet18()
    uncounted = {name: None for name in network.state_dict() if name.endswith("num_batches_tracked")}
    path = write(tmp_path / "w.safetensors", network, **uncounted)
    loaded = build_encoder("resnet18", SCHEMA, pretrained=path).network.network.network
    assert isinstance(loaded, nn.Module)
    assert torch.equal(loaded.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"conv1.weight": None}, "lacks conv1.weight: give the weights of this network"),
        ({"layer5.weight": torch.zeros(1)}, "holds, as the network does not, layer5.weight: give the weights of this"),
        ({"conv1.weight": torch.zeros(64, 1, 7, 7)}, r"has the shape \(64, 1, 7, 7\) in .* and \(64, 3, 7, 7\) here"),
    ],
)
def test_weights_of_another_network_are_told_in_one_line(
    changed: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "w.safetensors", torchvision.models.resnet18(), **changed)
    with pytest.raises(ValueError, match=message) as raised:
        build_encoder("resnet18", SCHEMA, pretrained=path)
    assert "\n" not in str(raised.value)


def test_what_is_no_file_of_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file of weights .*: give a .safetensors file"):
        build_encoder("resnet18", SCHEMA, pretrained=tmp_path / "none.safetensors")
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "pickle.pth")
    with pytest.raises(ValueError, match=r"is no safetensors file .*: convert it with safetensors.torch.save_file"):
        build_encoder("resnet18", SCHEMA, pretrained=tmp_path / "pickle.pth")
    with pytest.raises(ValueError, match=r"--pretrained and --from .* are two ways to start: leave --pretrained out"):
        EncoderOptions(pretrained=True, start="weights.safetensors")
    with pytest.raises(ValueError, match="no published weights for 'convnet': start --from a run of yours, or leave"):
        build_encoder("convnet", SCHEMA, pretrained=tmp_path / "pickle.pth")
