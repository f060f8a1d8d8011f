"""What a user keeps: a network that takes raw samples, and can be rebuilt from a few words."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.data import Graphs, Schema, Sequences
from unconfound.encoders.convnet import ConvNet
from unconfound.encoders.gin import GIN
from unconfound.encoders.gru import GRU
from unconfound.encoders.mlp import MLP
from unconfound.encoders.morpher import Morpher
from unconfound.encoders.resnet import ResNet, stem_for
from unconfound.encoders.transformer import Transformer
from unconfound.extras import require

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


@final
class Encoder(nn.Module):
    """Raw samples -> embeddings: conversion of uint8 to [0, 1], a morpher where there is one, normalisation, network.

    Args:
        network: has `.features` and takes normalised float samples.
        architecture: the arguments with which `build_encoder` makes this encoder anew.
        mean, deviation: [channels] of images in [0, 1] or of series, [columns] of rows, [features] of nodes; empty for
            text.

    Attributes:
        features: width of the embedding.
        morpher: weights the pixels of images before they are normalised; None for all methods but CIM.
    """

    mean: Tensor
    deviation: Tensor
    morpher: Morpher | None

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
        self.morpher = None

    def forward(
        self,
        inputs: UInt8[Tensor, "batch channels *size"] | Float[Tensor, "batch channels *size"] | Graphs | Sequences,
    ) -> Float[Tensor, "batch features"]:
        """Embed samples.

        Args:
            inputs: images, uint8 or float in [0, 1]; rows of floats, or of uint8 pixels; graphs; sequences.

        Raises:
            ValueError: the channels or columns are not those that the encoder was built for.
        """
        if self.morpher is not None:
            inputs, _ = self.morph(inputs)  # type: ignore[arg-type]
        embeddings: Tensor = self.network(self.normalize(inputs))
        return embeddings

    def add_morpher(self, *, mask_channels: int = 1, reduction: int = 1) -> None:
        """Let a freshly made `Morpher` weight the pixels of all images from now on; it is saved with the encoder.

        Raises:
            ValueError: the encoder takes no images, or an argument is out of `Morpher`'s range.
        """
        if self.architecture["modality"] != "images":
            raise ValueError(
                f"a morpher weights the pixels of images, this encoder takes {self.architecture['modality']}"
            )
        channels, *size = self.architecture["shape"]
        morpher = Morpher(channels, side=min(size), mask_channels=mask_channels, reduction=reduction)
        self.morpher = morpher.to(self.mean).to(memory_format=torch.channels_last)
        self.architecture["morpher"] = {"mask_channels": mask_channels, "reduction": reduction}

    def morph(
        self,
        images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    ) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch mask_channels height width"]]:
        """Return what the network is shown in place of the images, in [0, 1], and the mask by which they were weighted.

        Raises:
            ValueError: there is no morpher.
        """
        if self.morpher is None:
            raise ValueError("this encoder has no morpher: it shows the network the images as they are")
        values = _in_unit_range(images).contiguous(memory_format=torch.channels_last)
        mask = self.morpher(values)
        return values * mask, mask

    def normalize(self, inputs: Tensor | Graphs | Sequences) -> Tensor | Graphs | Sequences:
        """Turn raw samples into what the network takes; tokens stay as they are.

        Raises:
            ValueError: as `forward`.
        """
        if isinstance(inputs, Graphs):
            return Graphs(self._scale(inputs.nodes, axis=1, what="node features"), inputs.edges, inputs.sizes)
        if isinstance(inputs, Sequences):
            if not inputs.values.is_floating_point():
                return inputs
            values = self._scale(inputs.values, axis=2, what="channels")
            return Sequences(values.masked_fill(~inputs.mask()[..., None], 0), inputs.lengths)
        values = _in_unit_range(inputs)
        values = self._scale(values, axis=1, what="channels" if inputs.dim() == 4 else "columns")
        return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values

    def _scale(self, values: Tensor, *, axis: int, what: str) -> Tensor:
        if values.shape[axis] != len(self.mean):
            raise ValueError(f"this encoder takes {len(self.mean)} {what}, got samples of {values.shape[axis]}")
        shape = [-1 if place == axis else 1 for place in range(values.dim())]
        return (values - self.mean.view(shape)) / self.deviation.view(shape)


def _in_unit_range(inputs: Tensor) -> Tensor:
    return inputs / 255.0 if inputs.dtype == torch.uint8 else inputs


def build_encoder(
    name: str,
    schema: Schema,
    *,
    mean: Float[Tensor, " channels"] | None = None,
    deviation: Float[Tensor, " channels"] | None = None,
    pretrained: bool = False,
    width: int | None = None,
    depth: int | None = None,
    morpher: dict[str, int] | None = None,
) -> Encoder:
    """Make an encoder for the samples that `schema` describes.

    Args:
        name: "convnet", "resnet18", "resnet34", "resnet50", "mlp", "gin", "transformer", "gru", the name of any timm
            model, or "auto": resnet18 for images, mlp for tables, gin for graphs, transformer for text and series.
        schema: gives the modality and the shape of a sample.
        mean, deviation: of the training data, see `Source.statistics`; 0 and 1 where not given. Published weights bring
            their own.
        pretrained: start from published weights (ResNet and timm).
        width, depth: of all but ResNets and timm's models; their own defaults where None.
        morpher: arguments of `Encoder.add_morpher`; without them none is added.

    Raises:
        ValueError: an unknown name, or one that does not fit the modality or the shape.
    """
    if name == "auto":
        name = "resnet18" if schema.modality == "images" else OWN_ENCODERS[schema.modality][0]
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
    elif name == "gin":
        network = GIN(channels, **sizes)
    elif name in ("transformer", "gru"):
        kind = Transformer if name == "transformer" else GRU
        network = kind(channels, tokens=schema.modality == "text", **sizes)
    elif name in OWN_ENCODERS["images"]:
        network = ResNet(name, channels, stem=stem_for(min(schema.shape[1:])), pretrained=pretrained)
        if pretrained:
            mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_DEVIATION)
    else:
        network, published = _timm(name, schema, pretrained=pretrained)
        if pretrained and channels == 3:
            mean, deviation = published
    if schema.modality == "images":
        network.to(memory_format=torch.channels_last)
    scaled = 0 if schema.modality == "text" else channels
    encoder = Encoder(
        network,
        architecture=architecture,
        mean=torch.zeros(scaled) if mean is None else mean,
        deviation=torch.ones(scaled) if deviation is None else deviation,
    )
    if morpher is not None:
        encoder.add_morpher(**morpher)
    return encoder


def describe(encoder: Encoder) -> str:
    """Say in one line what an encoder is: its name, stem, number of weights and width."""
    name, shape = encoder.architecture["name"], encoder.architecture["shape"]
    stem = ""
    if name.startswith("resnet") and name in OWN_ENCODERS["images"]:
        stem = f" with the {stem_for(min(shape[1:]))} stem (for images of {shape[1]} x {shape[2]})"
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    return f"{name}{stem}, {weights:,} weights, {encoder.features} features"


def _check_fit(name: str, schema: Schema, *, pretrained: bool, sizes: dict[str, int]) -> None:
    own = OWN_ENCODERS[schema.modality]
    if schema.modality != "images" and name not in own:
        raise ValueError(f"encoder {name!r} does not take {schema.modality}: use {' or '.join(own)}")
    if schema.modality == "images" and name in SIZED and name not in own:
        raise ValueError(f"encoder {name!r} does not take images: use {', '.join(own)} or any timm model")
    if pretrained and name in SIZED:
        raise ValueError(f"there are no published weights for {name!r}: leave --pretrained out")
    if sizes and name not in SIZED:
        raise ValueError(f"width and depth are options of {', '.join(SIZED)}, not of {name!r}")
    side = 2 ** (sizes.get("depth", 4) - 1)
    if name == "convnet" and min(schema.shape[1:]) < side:
        raise ValueError(f"a convnet of this depth needs images of at least {side} pixels, got {schema.shape[1:]}")


def _timm(name: str, schema: Schema, *, pretrained: bool) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    timm = require("timm", extra="images")
    if not timm.is_model(name):
        known = [*OWN_ENCODERS["images"], *timm.list_models()]
        near = get_close_matches(name, known, n=3)
        raise ValueError(
            f"unknown encoder {name!r}: use {', '.join(OWN_ENCODERS['images'])} or the name of a timm model"
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
