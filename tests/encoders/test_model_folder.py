from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from unconfound.data import Schema
from unconfound.encoders.model_folder import input_size, is_model_folder, load_model_folder

timm = pytest.importorskip("timm", reason="timm is not installed")
SCHEMA = Schema("images", (3, 32, 32))
ARGUMENTS = {"img_size": 32, "patch_size": 8, "depth": 1, "embed_dim": 12, "num_heads": 2}
MEAN, DEVIATION = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


def images(size=32):
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def folder(tmp_path):
    """A small model of timm with a classifier, as its `push_to_hf_hub` writes it."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=5, **ARGUMENTS).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    known = {"mean": MEAN, "std": DEVIATION, "input_size": (3, 32, 32), "num_classes": 5, "classifier": "head"}
    known |= {"first_conv": "patch_embed.proj", "pool_size": None}
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 5,
        "model_args": ARGUMENTS,
        "pretrained_cfg": known,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path, network


def test_a_model_of_timm_gives_its_features_of_normalised_images(folder):
    path, network = folder
    assert is_model_folder(path)
    assert input_size(path) == 32
    encoder = load_model_folder(path, SCHEMA)
    assert encoder.features == 12
    normal = (images() / 255 - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(DEVIATION).view(-1, 1, 1)
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(normal), pre_logits=True)
        torch.testing.assert_close(encoder(images()), expected)
        # Positions are interpolated to images of another size.
        assert load_model_folder(path, Schema("images", (3, 48, 48)))(images(48)).shape == (2, 12)


def test_what_is_wrong_with_a_folder_is_one_line(folder):
    path, network = folder
    with pytest.raises(ValueError, match="holds a model of images, the data are tables"):
        load_model_folder(path, Schema("tables", (3,)))
    with pytest.raises(ValueError, match=r"as the model vit_tiny_patch16_224 of timm for images of 4 x 4"):
        load_model_folder(path, Schema("images", (3, 4, 4)))
    save_file({"a": torch.zeros(1)}, path / "model.safetensors")
    with pytest.raises(ValueError, match="cannot be read as the model vit_tiny"):
        load_model_folder(path, SCHEMA)
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"holds no model.safetensors: fetch it"):
        load_model_folder(path, SCHEMA)
    (path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="that of no model of timm"):
        load_model_folder(path, SCHEMA)
    (path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is damaged"):
        load_model_folder(path, SCHEMA)
    assert network.training is False


def test_transformers_is_named_where_it_is_missing(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ImportError, match=r"unconfound\[transformers\]"):
        load_model_folder(tmp_path, SCHEMA)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_model_of_transformers_gives_its_trained_pooling_or_the_class_token(tmp_path, pooled):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8)
    network = transformers.ViTModel(config, add_pooling_layer=pooled).eval()
    network.save_pretrained(tmp_path)
    normal = {"image_mean": MEAN, "image_std": DEVIATION, "size": {"height": 32, "width": 32}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(normal))
    encoder = load_model_folder(tmp_path, SCHEMA)
    assert input_size(tmp_path) == 32
    values = (images() / 255 - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(DEVIATION).view(-1, 1, 1)
    with torch.no_grad():
        found = network(pixel_values=values)
        expected = found.pooler_output if pooled else found.last_hidden_state[:, 0]
        torch.testing.assert_close(encoder(images()), expected)
    with pytest.raises(ValueError, match="give --image-size 32"):
        load_model_folder(tmp_path, Schema("images", (3, 48, 48)))


def test_the_images_of_a_clip_of_transformers_are_embedded(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.CLIPConfig(
        text_config=sizes | {"vocab_size": 20},
        vision_config=sizes | {"image_size": 32, "patch_size": 8},
        projection_dim=6,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    assert load_model_folder(tmp_path, SCHEMA)(images()).shape == (2, 6)
