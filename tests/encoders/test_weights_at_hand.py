from __future__ import annotations

import urllib.error
import urllib.request

import pytest
import torch
from safetensors.torch import save_file

from unconfound.data import Schema
from unconfound.encoders import build_encoder
from unconfound.encoders.weights_at_hand import cached_weights, check_weights_at_hand, published_size

timm = pytest.importorskip("timm", reason="timm is not installed")
NAME = "mobilenetv3_small_050"
SCHEMA = Schema("images", (3, 112, 112))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache, and a network that is not there; what was asked for is noted."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def unreachable(request, **_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    return tmp_path


def test_weights_that_are_not_at_hand_are_one_line_with_the_name_and_the_flag(hub):
    said = (
        rf"^the published weights of {NAME} are not at hand: timm/{NAME}.lamb_in1k is in no cache, and huggingface.co "
        r"cannot be reached \(no route to host\); give a \.safetensors file"
    )
    with pytest.raises(FileNotFoundError, match=said):
        build_encoder(NAME, SCHEMA, pretrained=True)
    with pytest.raises(
        FileNotFoundError, match=r"of resnet18 are not at hand: resnet18-\w+.pth of torchvision is in no"
    ):
        build_encoder("resnet18", SCHEMA, pretrained=True)


def test_cached_weights_are_read_without_the_network(hub):
    folder = hub / f"hub/models--timm--{NAME}.lamb_in1k"
    (folder / "snapshots/abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    assert cached_weights(NAME) is None
    torch.manual_seed(0)
    published = timm.create_model(NAME)
    save_file(published.state_dict(), folder / "snapshots/abc/model.safetensors")
    assert cached_weights(NAME) == folder / "snapshots/abc/model.safetensors"
    check_weights_at_hand(NAME)
    encoder = build_encoder(NAME, SCHEMA, pretrained=True)
    loaded = encoder.network.network.state_dict()
    assert all(torch.equal(loaded[name], each) for name, each in published.state_dict().items() if name in loaded)


def test_names_without_published_weights_are_refused(hub):
    with pytest.raises(
        ValueError, match=r"unknown encoder 'vit_smal_patch16_dinov3'; nearest: vit_small_patch16_dinov3"
    ):
        check_weights_at_hand("vit_smal_patch16_dinov3")
    bare = next(name for name in ("test_vit4", "vit_giant_patch14_224") if not timm.is_model_pretrained(name))
    with pytest.raises(ValueError, match=f"no published weights for '{bare}'"):
        check_weights_at_hand(bare)
    assert published_size("vit_small_patch16_dinov3") == 256
