"""Encoders that start from runs, files and published models: what comes along, what is refused, in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from unconfound.data import Schema
from unconfound.encoders import Morphed, Projected, build_encoder, load_encoder, save_encoder, start_encoder
from unconfound.encoders.encoder import Encoder
from unconfound.encoders.gated import Gated
from unconfound.encoders.start import find_start
from unconfound.encoders.started import Started, read_started, write_started
from unconfound.encoders.weights import digest
from unconfound.options.encoders import EncoderOptions

IMAGES = Schema("images", (3, 32, 32), ("a", "b"))
VIT = "vit_tiny_patch16_224"


def saved(folder: Path, name: str = "convnet", schema: Schema = IMAGES, **sizes: int) -> Encoder:
    torch.manual_seed(3)
    channels = torch.linspace(0.2, 0.5, schema.shape[0])
    encoder = build_encoder(name, schema, mean=channels, deviation=channels, **sizes)  # type: ignore[arg-type]
    told = {"method": "simclr", "data": {"name": "toys", "samples": 3}, "labels": False}
    save_encoder(folder, encoder, schema=schema, restore={"kind": "images"}, provenance=told)
    return encoder


def published(path: Path, name: str = VIT, size: int = 64) -> nn.Module:
    """Write the weights of a model of timm for images of a size, as the hub has them, with a description."""
    torch.manual_seed(5)
    network = timm.create_model(name, img_size=size, num_classes=7)
    save_file(network.state_dict(), path / "model.safetensors")
    config = {"architecture": name, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (path / "config.json").write_text(json.dumps(config))
    return network.eval()


@pytest.mark.parametrize("named", ["run", "run/encoder.safetensors"])
def test_all_of_a_run_comes_along(named: str, tmp_path: Path) -> None:
    before = saved(tmp_path / "run", width=4)
    encoder = start_encoder(str(tmp_path / named), IMAGES)
    assert encoder.training
    assert encoder.architecture == before.architecture
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.state_dict().items())
    assert encoder.started is not None
    assert encoder.started.sha256 == digest(before.state_dict())
    assert encoder.started.origin == {"method": "simclr", "data": "toys"}
    # What a method puts around it is not of the start.
    encoder.wrap(Projected, features=2)
    assert encoder.started.facts["wrappers"] == 0


def test_what_is_around_the_network_of_a_run_comes_along(tmp_path: Path) -> None:
    encoder = saved(tmp_path / "plain", width=4)
    encoder.wrap(Projected, features=5)
    save_encoder(tmp_path / "run", encoder, schema=IMAGES)
    again = start_encoder(tmp_path / "run", IMAGES)
    assert again.features == 5
    assert again.started is not None
    assert again.started.facts["wrappers"] == 1
    with pytest.raises(ValueError, match=r"more around it \(Projected\): start from a run that has not"):
        again.wrap(Gated, environments=2)
    again.wrap(Morphed)
    with pytest.raises(ValueError, match="has a morpher already"):
        again.wrap(Morphed)


def test_a_file_of_ours_alone_needs_the_network_to_be_named(tmp_path: Path) -> None:
    before = saved(tmp_path / "run", width=4)
    file = (tmp_path / "run" / "encoder.safetensors").rename(tmp_path / "mine.safetensors")
    with pytest.raises(
        ValueError, match=r"mine.safetensors holds weights and no network: name the network by --encoder"
    ):
        start_encoder(file, IMAGES)
    encoder = start_encoder(file, IMAGES, options=EncoderOptions(encoder="convnet", width=4))
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.state_dict().items())
    with pytest.raises(ValueError, match="of another width or kind"):
        start_encoder(file, IMAGES, options=EncoderOptions(encoder="convnet", width=8))


@pytest.mark.parametrize("named", ["hf-hub:{}", "{}", "{}/model.safetensors"])
def test_a_folder_of_a_model_of_timm_for_images_of_another_size(named: str, tmp_path: Path) -> None:
    network = published(tmp_path)
    encoder = start_encoder(named.format(tmp_path), Schema("images", (3, 96, 96))).eval()
    network.reset_classifier(0)  # type: ignore[operator]
    network.set_input_size(img_size=96)  # type: ignore[operator]
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), network((images - mean) / deviation), rtol=1e-4, atol=1e-5)
    # It is saved and started from again, at a third size.
    save_encoder(tmp_path / "run", encoder, schema=Schema("images", (3, 96, 96)))
    again = start_encoder(tmp_path / "run", Schema("images", (3, 48, 48)))
    assert again.architecture["shape"] == [3, 48, 48]
    assert again(images[:, :, :48, :48]).shape == (2, again.features)


def test_the_interpolation_is_that_of_timms_own_loading(tmp_path: Path) -> None:
    published(tmp_path)
    file = str(tmp_path / "model.safetensors")
    config = {"file": file, "num_classes": 7}
    theirs = timm.create_model(VIT, img_size=96, pretrained=True, num_classes=7, pretrained_cfg_overlay=config)
    ours = start_encoder(tmp_path, Schema("images", (3, 96, 96)))
    state = ours.network.network.state_dict()  # type: ignore[union-attr]
    for name, weight in theirs.state_dict().items():
        if not name.startswith("head."):
            torch.testing.assert_close(state[name], weight)


def test_pooled_or_class_token(tmp_path: Path) -> None:
    published(tmp_path)
    schema = Schema("images", (3, 64, 64))
    images = torch.rand(2, 3, 64, 64)
    encoders = {
        each: start_encoder(tmp_path, schema, options=EncoderOptions(pooling=each)).eval()
        for each in (None, "token", "mean")
    }
    with torch.no_grad():
        tokens = encoders[None].network.network.forward_features(encoders[None].network.normalize(images))  # type: ignore[operator,union-attr]
        torch.testing.assert_close(encoders[None](images), tokens[:, 0])
        torch.testing.assert_close(encoders["token"](images), tokens[:, 0])
        torch.testing.assert_close(encoders["mean"](images), tokens[:, 1:].mean(1))
    save_encoder(tmp_path / "run", encoders["mean"], schema=schema)
    with torch.no_grad():
        torch.testing.assert_close(load_encoder(tmp_path / "run")(images), encoders["mean"](images))
    with pytest.raises(ValueError, match="pooling flatten is none of 'vit_tiny"):
        build_encoder(VIT, schema, pooling="flatten")
    with pytest.raises(ValueError, match="pooling token is none of 'resnet10t': mean and token are of vision"):
        build_encoder("resnet10t", schema, pooling="token")


def test_images_of_another_size_where_the_network_takes_them(tmp_path: Path) -> None:
    before = saved(tmp_path / "run", width=4)
    larger = Schema("images", (3, 48, 40))
    encoder = start_encoder(tmp_path / "run", larger)
    images = torch.rand(2, 3, 48, 40)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(images), before.eval()(images))
    saved(tmp_path / "resnet", "resnet18")
    with pytest.raises(ValueError, match=r"of 32 x 32 pixels and cannot take 112 x 112 \(network.* --image-size as"):
        start_encoder(tmp_path / "resnet", Schema("images", (3, 112, 112)))
    before.wrap(Morphed)
    save_encoder(tmp_path / "morphed", before, schema=IMAGES)
    with pytest.raises(ValueError, match=r"Morphed, a part of .*, is made for images of 32 x 32 pixels, not"):
        start_encoder(tmp_path / "morphed", larger)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet18"}, "run is a convnet, not resnet18: leave --encoder resnet18 out"),
        ({"width": 8}, r"--width 8 is not that of .*run \(4\): leave --width out"),
        ({"depth": 3}, r"--depth 3 is not that of .*run \(its default\): leave --depth out"),
        ({"pooling": "flatten"}, r"--pooling flatten is not that of .*run \(its default\)"),
    ],
)
def test_options_that_contradict_a_run_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    saved(tmp_path / "run", width=4)
    with pytest.raises(ValueError, match=message) as raised:
        start_encoder(tmp_path / "run", IMAGES, options=EncoderOptions(**options))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert start_encoder(tmp_path / "run", IMAGES, options=EncoderOptions(encoder="convnet", width=4)).features


def test_samples_of_another_kind_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "run", width=4)
    for schema in (Schema("tables", (3,)), Schema("images", (1, 32, 32))):
        with pytest.raises(ValueError, match=r"takes images of shape \(3, 32, 32\): start from a run on such data"):
            start_encoder(tmp_path / "run", schema)


@pytest.mark.parametrize(
    ("named", "kind", "message"),
    [
        ("nothing", FileNotFoundError, "'nothing' is no run folder, .safetensors file or model of timm's"),
        ("resnt50", FileNotFoundError, "nearest: resnet50"),
        ("a.safetensors", FileNotFoundError, "there is no file of weights a.safetensors"),
        ("convnet", ValueError, "nobody published weights of a convnet: give a run folder, or --encoder convnet"),
        ("pickle.pth", ValueError, "pickle.pth is no .safetensors file"),
        ("unfinished", FileNotFoundError, "unfinished holds no encoder.json: give the folder of a finished run"),
        ("hf-hub:half", FileNotFoundError, "half holds no model.safetensors"),
        ("hf-hub:other", ValueError, r"config.json names no architecture: hf-hub:other is no model of timm's"),
        ("hf-hub:special", ValueError, r"with arguments of its own \(\{'depth': 3\}\)"),
        ("hf-hub:nobody/none", ValueError, "is neither in the cache of the Hugging Face Hub nor to be had from it"),
    ],
)
def test_what_cannot_be_started_from(
    named: str, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Path("pickle.pth").touch()
    special = {"architecture": VIT, "model_args": {"depth": 3}}
    for folder, config in (("half", {"architecture": VIT}), ("other", {"model_type": "clip"}), ("special", special)):
        Path(folder).mkdir()
        Path(folder, "config.json").write_text(json.dumps(config))
        if folder != "half":
            Path(folder, "model.safetensors").touch()
    Path("unfinished").mkdir()
    Path("unfinished", "config.toml").touch()
    with pytest.raises(kind, match=message) as raised:
        find_start(named)
    assert "\n" not in str(raised.value)


def test_the_cache_of_the_hub_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--somebody--vit" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    published(snapshot)
    (tmp_path / "models--somebody--vit" / "refs").mkdir()
    (tmp_path / "models--somebody--vit" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("the hub was asked"))
    start = find_start("hf-hub:somebody/vit")
    assert (start.model, start.file) == (VIT, snapshot / "model.safetensors")


def test_published_names(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    resnet18 = torchvision.models.resnet18

    def downloaded(weights: str | None = None) -> nn.Module:
        return network if weights == "DEFAULT" else resnet18()

    monkeypatch.setattr(torchvision.models, "resnet18", downloaded)
    monkeypatch.setattr("unconfound.encoders.resnet.check_weights_at_hand", lambda name: None)
    encoder = start_encoder("resnet18", Schema("images", (3, 112, 112)))
    assert torch.equal(encoder.state_dict()["network.network.network.conv1.weight"], network.conv1.weight)
    assert encoder.started is not None
    assert encoder.started.source == "resnet18"
    with pytest.raises(ValueError, match="--encoder resnet50 is not the network of resnet18: leave --encoder out"):
        start_encoder("resnet18", Schema("images", (3, 112, 112)), options=EncoderOptions(encoder="resnet50"))

    def offline(weights: str | None = None) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models, "resnet18", offline)
    with pytest.raises(
        ValueError, match=r"weights of 'resnet18' are not in the cache and cannot be downloaded \(no rou"
    ):
        start_encoder("resnet18", Schema("images", (3, 112, 112)))


def test_weights_that_do_not_fit_name_five_and_the_likely_cause(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    options = EncoderOptions(encoder="resnet18")
    schema = Schema("images", (3, 112, 112))
    for changed, message in (
        (
            {f"module.{name}": value for name, value in state.items()},
            r"lacks conv1.weight, bn1.weight, bn1.bias, bn1.running_mean, bn1.running_var and 95 more and holds, .* "
            r"module.bn1.bias, .*: names there begin with 'module.': take that off",
        ),
        (timm.create_model("resnet10t").state_dict(), "give the weights of this network"),
        ({"a.weight": torch.zeros(1)}, "a network of another kind"),
        (state | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, "the images have 3 channels, the weights are for 1"),
        (state | {"layer4.2.conv1.weight": torch.zeros(1), "layer4.2.bn1.bias": torch.zeros(1)}, "of a deeper network"),
        (torchvision.models.resnet34().state_dict(), "of a deeper network"),
    ):
        save_file({name: value.clone() for name, value in changed.items()}, tmp_path / "w.safetensors")
        with pytest.raises(ValueError, match=message) as raised:
            start_encoder(tmp_path / "w.safetensors", schema, options=options)
        assert "\n" not in str(raised.value)


def test_the_record_of_a_start_is_kept_and_compared(tmp_path: Path) -> None:
    started = Started(source="runs/a", sha256="1" * 64, architecture={"name": "convnet"}, restore={"image_size": 8})
    write_started(tmp_path, started)
    assert read_started(tmp_path) == started
    write_started(tmp_path, started)
    other = Started(source="runs/a", sha256="2" * 64, architecture={})
    with pytest.raises(ValueError, match=r"runs/a has other weights than when .* began \(222222222222, then 111111"):
        write_started(tmp_path, other)
    (tmp_path / "start.json").write_text((tmp_path / "start.json").read_text().replace("runs/a", "runs/b"))
    with pytest.raises(ValueError, match=r"start.json is damaged \(its checksum.*: start anew with --overwrite"):
        read_started(tmp_path)
