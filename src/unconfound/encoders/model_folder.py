"""A model in a folder, as the Hugging Face hub stores it: config.json and safetensors, of timm or of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.documents import one_line, read_json
from unconfound.encoders.normalized import Normalized
from unconfound.extras import require

# The files of weights that timm's models have there, the first that is there.
TIMM_WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")


def is_model_folder(path: Path) -> bool:
    """Return whether a folder holds a model of timm or transformers, and not a run."""
    return (path / "config.json").is_file() and not (path / "encoder.json").is_file()


def input_size(path: Path) -> int | None:
    """Return the side of the images that the model of a folder was trained on, None where its files do not say.

    Raises:
        ValueError: config.json is damaged.
    """
    config = _config(path)
    if _is_timm(config):
        size = config.get("pretrained_cfg", config).get("input_size")
        return int(size[-1]) if isinstance(size, list) and size else None
    size = _preprocessing(path).get("crop_size", _preprocessing(path).get("size", config.get("image_size")))
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) else None


def load_model_folder(path: Path, schema: Schema) -> nn.Module:
    """Load a model of timm or transformers from a folder, without the network, in evaluation mode.

    Images are normalised as its files say. Of a model of timm, embeddings are its pooled features. Of a model of
    transformers, they are its image embeddings (CLIP and SigLIP), or its pooled output if the folder holds the weights
    of the pooling, or else its class token. Nothing is unpickled, and no code of the folder is run.

    Args:
        path: the folder.
        schema: of the images.

    Raises:
        ImportError: timm or transformers is not installed.
        ValueError: the data are no images, a file is damaged or missing, or the model does not take the images.
    """
    if schema.modality != "images":
        raise ValueError(f"{path} holds a model of images, the data are {schema.modality}")
    config = _config(path)
    if _is_timm(config):
        return _timm(path, config, schema)
    if "model_type" in config:
        return _transformers(path, schema)
    raise ValueError(
        f"{path}/config.json is that of no model of timm (it has no architecture) or transformers (no model_type)"
    )


def _config(path: Path) -> dict[str, Any]:
    config = read_json(path / "config.json", remedy="fetch the folder anew")
    if not isinstance(config, dict):
        raise ValueError(f"{path / 'config.json'} is damaged (it holds no object): fetch the folder anew")
    return config


def _is_timm(config: dict[str, Any]) -> bool:
    return isinstance(config.get("architecture"), str)


def _timm(path: Path, config: dict[str, Any], schema: Schema) -> nn.Module:
    # Not by `start_encoder`, which must be able to make the network anew, and so refuses arguments of its own.
    timm = require("timm", extra="images")
    weights = next((path / name for name in TIMM_WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        raise ValueError(f"{path} holds no model.safetensors: fetch it, as other files of weights are not read")
    # Early versions wrote all in one.
    described = dict(config.get("pretrained_cfg", config))
    options = dict(config.get("model_args") or {}) | {"num_classes": 0, "in_chans": schema.shape[0]}
    for key in ("architecture", "labels", "num_features", "source", "hf_hub_id", "hf_hub_filename", "custom_load"):
        described.pop(key, None)
    described |= {"file": str(weights), "num_classes": config.get("num_classes", described.get("num_classes", 1000))}
    name, size = config["architecture"], schema.shape[1:]

    def created(seed: int) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return timm.create_model(
                    name, pretrained=True, pretrained_cfg=described, **(options | {"img_size": size})
                )
            except TypeError:  # convolutional models take any size and have no such argument
                return timm.create_model(name, pretrained=True, pretrained_cfg=described, **options)

    try:
        network = created(0).eval()
        # timm takes a file that lacks weights, and draws these; it may rename others, so that names do not tell.
        drawn = [
            own
            for (own, weight), other in zip(network.named_parameters(), created(1).parameters(), strict=True)
            if not torch.equal(weight, other)
        ]
        if drawn:
            raise ValueError(f"{weights.name} has no {', '.join(drawn[:5])}")
        with torch.no_grad():
            network.features = network(torch.zeros(1, *schema.shape)).shape[1]
    except Exception as error:  # timm and safetensors have errors of many kinds
        raise ValueError(
            f"{path} cannot be read as the model {name} of timm for images of {size[0]} x {size[1]} pixels "
            f"({one_line(error)})"
        ) from error
    return Normalized(network, **_statistics(described.get("mean"), described.get("std"), schema)).eval()


def _transformers(path: Path, schema: Schema) -> nn.Module:
    transformers = require("transformers", extra="transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network, report = transformers.AutoModel.from_pretrained(
            path, local_files_only=True, use_safetensors=True, output_loading_info=True, trust_remote_code=False
        )
    except Exception as error:  # transformers has errors of many kinds
        raise ValueError(f"{path} cannot be read as a model of transformers ({one_line(error)})") from error
    pooled = not any("pool" in name or ".head." in name for name in report["missing_keys"])
    encoder = ImageTower(network.eval(), pooled=pooled)
    preprocessing = _preprocessing(path)
    try:
        with torch.no_grad():
            encoder.features = encoder(torch.zeros(1, *schema.shape)).shape[1]
    except Exception as error:
        size = input_size(path)
        remedy = "" if size is None else f": give --image-size {size}"
        raise ValueError(
            f"{path} does not take images of {schema.shape[1]} x {schema.shape[2]} pixels ({one_line(error)}){remedy}"
        ) from error
    mean, deviation = preprocessing.get("image_mean"), preprocessing.get("image_std")
    return Normalized(encoder, **_statistics(mean, deviation, schema)).eval()


class ImageTower(nn.Module):
    """A model of transformers as a network of images.

    Args:
        network: with `get_image_features`, or whose result has `pooler_output` or `last_hidden_state`.
        pooled: whether its pooling was trained.
    """

    features: int = 0

    def __init__(self, network: nn.Module, *, pooled: bool) -> None:
        super().__init__()
        self.network = network
        self.pooled = pooled

    def forward(self, images: Tensor) -> Tensor:
        """Embed normalised images, [batch, channels, height, width]."""
        features = getattr(self.network, "get_image_features", None)
        found = self.network(pixel_values=images) if features is None else features(pixel_values=images)
        if isinstance(found, Tensor):
            return found
        pooled: Tensor | None = getattr(found, "pooler_output", None)
        if pooled is not None and self.pooled:
            return pooled.flatten(1)
        tokens: Tensor = found.last_hidden_state
        return tokens[:, 0] if tokens.dim() == 3 else tokens.mean((2, 3))


def _preprocessing(path: Path) -> dict[str, Any]:
    file = path / "preprocessor_config.json"
    values = read_json(file, remedy="fetch the folder anew") if file.is_file() else {}
    return values if isinstance(values, dict) else {}


def _statistics(mean: Any, deviation: Any, schema: Schema) -> dict[str, Tensor]:
    """Return those that the model's files give, where they are of so many channels; else 0 and 1."""
    channels = schema.shape[0]
    known = isinstance(mean, list | tuple) and isinstance(deviation, list | tuple)
    if known and len(mean) == len(deviation) == channels:
        return {"mean": torch.tensor(mean).float(), "deviation": torch.tensor(deviation).float()}
    return {"mean": torch.zeros(channels), "deviation": torch.ones(channels)}
