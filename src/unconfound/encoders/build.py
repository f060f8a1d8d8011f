"""From an encoder's name to the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.encoders.convnet import ConvNet
from unconfound.encoders.encoder import Encoder
from unconfound.encoders.gin import GIN
from unconfound.encoders.gru import GRU
from unconfound.encoders.mlp import MLP
from unconfound.encoders.normalized import Normalized
from unconfound.encoders.published_weights import read_published_weights, take_published_weights
from unconfound.encoders.resnet import ResNet, stem_for
from unconfound.encoders.timm_models import build_timm
from unconfound.encoders.transformer import Transformer
from unconfound.options.encoders import Pooling

OWN_ENCODERS: dict[str, tuple[str, ...]] = {
    "images": ("convnet", "resnet18", "resnet34", "resnet50"),
    "tables": ("mlp",),
    "graphs": ("gin",),
    "text": ("transformer", "gru"),
    "series": ("transformer", "gru"),
}
# Those of a width and a depth to choose.
SIZED = ("convnet", "mlp", "gin", "transformer", "gru")
# With which torchvision's weights were trained.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_SIZE = 224


def build_encoder(
    name: str,
    schema: Schema,
    *,
    mean: Float[Tensor, " channels"] | None = None,
    deviation: Float[Tensor, " channels"] | None = None,
    pretrained: bool | Path = False,
    width: int | None = None,
    depth: int | None = None,
    pooling: Pooling | None = None,
) -> Encoder:
    """Make an encoder for the samples that `schema` describes.

    Args:
        name: "convnet", "resnet18", "resnet34", "resnet50", "mlp", "gin", "transformer", "gru", the name of any timm
            model, or "auto": resnet18 for images, mlp for tables, gin for graphs, transformer for text and series.
        schema: gives the modality and the shape of a sample.
        mean, deviation: of the training data, see `Source.statistics`; 0 and 1 where not given. Published weights bring
            their own.
        pretrained: True: start from published weights (ResNet and timm); a path: from those of this .safetensors file,
            which names them as timm or torchvision do.
        width, depth: of all but ResNets and timm's models; their own defaults where None.
        pooling: of a convnet, see there; of a vision transformer of timm, "mean" over its patches or its class "token",
            by default what it was made for.

    Raises:
        ValueError: an unknown name, or one that does not fit the modality or the shape; or weights of another network.
        FileNotFoundError: there is no such file of weights.
    """
    if name == "auto":
        name = "resnet18" if schema.modality == "images" else OWN_ENCODERS[schema.modality][0]
    sizes = {key: value for key, value in (("width", width), ("depth", depth)) if value is not None}
    if any(size < 1 for size in sizes.values()):
        raise ValueError(f"width and depth of an encoder must be at least 1, got {sizes}")
    _check_fit(name, schema, pretrained=bool(pretrained), pooling=pooling, sizes=sizes)
    channels = schema.shape[0]
    architecture = {"name": name, "shape": list(schema.shape), "modality": schema.modality, **sizes}
    if pooling is not None:
        architecture["pooling"] = pooling
    network, published = _network(name, schema, pretrained=pretrained, pooling=pooling, sizes=sizes)
    if published is not None and pretrained and channels == 3:
        mean, deviation = published
    if schema.modality == "images":
        network.to(memory_format=torch.channels_last)
    scaled = 0 if schema.modality == "text" else channels
    normalized = Normalized(
        network,
        mean=torch.zeros(scaled) if mean is None else mean,
        deviation=torch.ones(scaled) if deviation is None else deviation,
    )
    return Encoder(normalized, architecture=architecture)


def describe(encoder: Encoder) -> str:
    """Say in one line what an encoder is: its name, stem, number of weights and width."""
    name, shape = encoder.architecture["name"], encoder.architecture["shape"]
    stem = ""
    if name.startswith("resnet") and name in OWN_ENCODERS["images"]:
        stem = f" with the {stem_for(min(shape[1:]))} stem (for images of {shape[1]} x {shape[2]})"
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    return f"{name}{stem}, {weights:,} weights, {encoder.features} features"


def _network(
    name: str, schema: Schema, *, pretrained: bool | Path, pooling: Pooling | None, sizes: dict[str, int]
) -> tuple[nn.Module, tuple[Tensor, Tensor] | None]:
    """Return a network, and mean and deviation of the images that its published weights are for, if there are any."""
    channels = schema.shape[0]
    if name == "convnet":
        height, width = schema.shape[1:]
        return ConvNet(channels, pooling=pooling or "mean", size=(height, width), **sizes), None
    if name == "mlp":
        return MLP(channels, **sizes), None
    if name == "gin":
        return GIN(channels, **sizes), None
    if name in ("transformer", "gru"):
        kind = Transformer if name == "transformer" else GRU
        return kind(channels, tokens=schema.modality == "text", **sizes), None
    if name in OWN_ENCODERS["images"]:
        network = ResNet(name, channels, stem=stem_for(min(schema.shape[1:])), pretrained=pretrained is True)
        if not isinstance(pretrained, bool):
            found = read_published_weights(pretrained)
            take_published_weights(network.network, found, source=pretrained, classifier=("fc",))
        return network, (torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION))
    return build_timm(name, schema, pretrained=pretrained, pooling=pooling)


def _check_fit(name: str, schema: Schema, *, pretrained: bool, pooling: Pooling | None, sizes: dict[str, int]) -> None:
    own = OWN_ENCODERS[schema.modality]
    if schema.modality != "images" and name not in own:
        raise ValueError(f"encoder {name!r} does not take {schema.modality}: use {' or '.join(own)}")
    if schema.modality == "images" and name in SIZED and name not in own:
        raise ValueError(f"encoder {name!r} does not take images: use {', '.join(own)} or any timm model")
    if pretrained and name in SIZED:
        raise ValueError(
            f"there are no published weights for {name!r}: start --from a run of yours, or leave --pretrained out"
        )
    if sizes and name not in SIZED:
        raise ValueError(f"width and depth are options of {', '.join(SIZED)}, not of {name!r}")
    if pooling not in (None, *get_args(Pooling)):
        raise ValueError(f"pooling must be {', '.join(get_args(Pooling))}, got {pooling!r}")
    allowed = ("mean", "flatten") if name == "convnet" else ()
    timms = schema.modality == "images" and name not in own
    if pooling is not None and not timms and pooling not in allowed:
        raise ValueError(
            f"pooling {pooling} is none of {name!r}: mean and flatten are of convnet, mean and token of vision "
            "transformers"
        )
    side = 2 ** (sizes.get("depth", 4) - 1)
    if name == "convnet" and min(schema.shape[1:]) < side:
        raise ValueError(f"a convnet of this depth needs images of at least {side} pixels, got {schema.shape[1:]}")
