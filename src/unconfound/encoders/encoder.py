"""What a user keeps: a network that takes raw samples, and can be rebuilt from a few words."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.encoders.convnet import ConvNet
from unconfound.encoders.mlp import MLP
from unconfound.encoders.resnet import ResNet, stem_for
from unconfound.extras import require

OWN_IMAGE_ENCODERS = ("convnet", "resnet18", "resnet34", "resnet50")
OWN_TABLE_ENCODERS = ("mlp",)
# With which torchvision's weights were trained.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@final
class Encoder(nn.Module):
    """Raw samples -> embeddings: conversion of uint8 to [0, 1], normalisation, then the network.

    Args:
        network: has `.features` and takes normalised float samples.
        architecture: the arguments with which `build_encoder` makes this encoder anew.
        mean, deviation: [channels] of images in [0, 1], or [columns] of rows.

    Attributes:
        features: width of the embedding.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        architecture: dict[str, Any],
        mean: Float[Tensor, " channels"],
        deviation: Float[Tensor, " channels"],
    ) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.features = int(network.features)  # type: ignore[arg-type]
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(
        self, inputs: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels *size"]
    ) -> Float[Tensor, "batch features"]:
        """Embed samples.

        Args:
            inputs: images, uint8 or float in [0, 1], or rows of floats.

        Raises:
            ValueError: the channels or columns are not those that the encoder was built for.
        """
        if inputs.shape[1] != len(self.mean):
            what = "channels" if inputs.dim() == 4 else "columns"
            raise ValueError(f"this encoder takes {len(self.mean)} {what}, got samples of {inputs.shape[1]}")
        shape = (1, -1) + (1,) * (inputs.dim() - 2)
        values = inputs / 255.0 if inputs.dtype == torch.uint8 else inputs
        values = (values - self.mean.view(shape)) / self.deviation.view(shape)
        if values.dim() == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        embeddings: Tensor = self.network(values)
        return embeddings


def build_encoder(
    name: str,
    schema: Schema,
    *,
    mean: Float[Tensor, " channels"] | None = None,
    deviation: Float[Tensor, " channels"] | None = None,
    pretrained: bool = False,
    width: int | None = None,
    depth: int | None = None,
) -> Encoder:
    """Make an encoder for the samples that `schema` describes.

    Args:
        name: "convnet", "resnet18", "resnet34", "resnet50", "mlp", the name of any timm model, or "auto": resnet18 for
            images, mlp for tables.
        schema: gives the modality and the shape of a sample.
        mean, deviation: of the training data, see `Source.statistics`; 0 and 1 where not given. Published weights bring
            their own.
        pretrained: start from published weights (ResNet and timm).
        width, depth: of convnet and mlp; their own defaults where None.

    Raises:
        ValueError: an unknown name, or one that does not fit the modality or the shape.
    """
    if name == "auto":
        name = "mlp" if schema.modality == "tables" else "resnet18"
    sizes = {key: value for key, value in (("width", width), ("depth", depth)) if value is not None}
    if any(size < 1 for size in sizes.values()):
        raise ValueError(f"width and depth of an encoder must be at least 1, got {sizes}")
    _check_fit(name, schema, pretrained=pretrained, sizes=sizes)
    channels = schema.shape[0]
    architecture = {
        "name": name,
        "shape": list(schema.shape),
        "modality": schema.modality,
        **sizes,
    }
    network: nn.Module
    if name == "convnet":
        network = ConvNet(channels, **sizes)
    elif name == "mlp":
        network = MLP(channels, **sizes)
    elif name in OWN_IMAGE_ENCODERS:
        network = ResNet(name, channels, stem=stem_for(min(schema.shape[1:])), pretrained=pretrained)
        if pretrained:
            mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION)
    else:
        network, published = _timm(name, schema, pretrained=pretrained)
        if pretrained and channels == 3:
            mean, deviation = published
    if schema.modality == "images":
        network.to(memory_format=torch.channels_last)
    return Encoder(
        network,
        architecture=architecture,
        mean=torch.zeros(channels) if mean is None else mean,
        deviation=torch.ones(channels) if deviation is None else deviation,
    )


def describe(encoder: Encoder) -> str:
    """Say in one line what an encoder is: its name, stem, number of weights and width."""
    name, shape = encoder.architecture["name"], encoder.architecture["shape"]
    stem = ""
    if name.startswith("resnet") and name in OWN_IMAGE_ENCODERS:
        stem = f" with the {stem_for(min(shape[1:]))} stem (for images of {shape[1]} x {shape[2]})"
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    return f"{name}{stem}, {weights:,} weights, {encoder.features} features"


def _check_fit(name: str, schema: Schema, *, pretrained: bool, sizes: dict[str, int]) -> None:
    own = OWN_TABLE_ENCODERS if schema.modality == "tables" else OWN_IMAGE_ENCODERS
    if schema.modality == "tables" and name not in own:
        raise ValueError(f"encoder {name!r} does not take tables: use {' or '.join(own)}")
    if schema.modality == "images" and name in OWN_TABLE_ENCODERS:
        raise ValueError(f"encoder {name!r} does not take images: use {', '.join(own)} or any timm model")
    if pretrained and name in ("convnet", "mlp"):
        raise ValueError(f"there are no published weights for {name!r}: leave --pretrained out")
    if sizes and name not in ("convnet", "mlp"):
        raise ValueError(f"width and depth are options of convnet and mlp, not of {name!r}")
    side = 2 ** (sizes.get("depth", 4) - 1)
    if name == "convnet" and min(schema.shape[1:]) < side:
        raise ValueError(f"a convnet of this depth needs images of at least {side} pixels, got {schema.shape[1:]}")


def _timm(name: str, schema: Schema, *, pretrained: bool) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    timm = require("timm", extra="images")
    if not timm.is_model(name):
        known = [*OWN_IMAGE_ENCODERS, *timm.list_models()]
        near = get_close_matches(name, known, n=3)
        raise ValueError(
            f"unknown encoder {name!r}: use {', '.join(OWN_IMAGE_ENCODERS)} or the name of a timm model"
            + (f"; nearest: {', '.join(near)}" if near else "")
        )
    create: Callable[..., nn.Module] = timm.create_model
    size = schema.shape[1:]
    options = {"pretrained": pretrained, "num_classes": 0, "in_chans": schema.shape[0]}
    try:
        try:
            network = create(name, img_size=size, **options)
        except TypeError:  # convolutional models take any size and have no such argument
            network = create(name, **options)
        # Only trying shows which sizes a model of timm takes, and how wide its output is.
        with torch.no_grad():
            network.features = network.eval()(torch.zeros(1, *schema.shape)).shape[1]
    except (RuntimeError, AssertionError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name!r} does not take images of {size[0]} x {size[1]} pixels ({reason})") from error
    network.train()
    published: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    return network, (torch.tensor(published["mean"]), torch.tensor(published["std"]))
