"""What a user keeps: a network that takes raw samples, and can be rebuilt from a few words."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.data import Graphs, Sequences
from unconfound.encoders.attention import Attention
from unconfound.encoders.morpher import Morpher
from unconfound.encoders.projection import Projection
from unconfound.functional.inputs import unit_range


@final
class Encoder(nn.Module):
    """Raw samples -> embeddings: conversion of uint8 to [0, 1], normalisation, network.

    Methods may add a morpher before the normalisation, gates on the network's feature map, and a head of another width.

    Args:
        network: has `.features` and takes normalised float samples.
        architecture: the arguments with which `build_encoder` makes this encoder anew.
        mean, deviation: [channels] of images in [0, 1] or of series, [columns] of rows, [features] of nodes; empty for
            text.

    Attributes:
        features: width of the embedding.
        morpher: weights the pixels of images before they are normalised; None for all methods but CIM.
        attention: gates the feature map; None for all methods but DCML.
        projection: from the network's width to that of the embedding; None where they are the same.
    """

    mean: Tensor
    deviation: Tensor
    morpher: Morpher | None
    attention: Attention | None
    projection: Projection | None

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
        self.attention = None
        self.projection = None

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
        if self.attention is not None:
            return self.embed_maps(self.maps(inputs))  # type: ignore[arg-type]
        embeddings: Tensor = self.network(self.normalize(inputs))
        return embeddings if self.projection is None else self.projection(embeddings)

    def add_projection(self, features: int, *, batch_norm: bool = False) -> None:
        """Let a freshly made `Projection` bring embeddings to a width from now on; it is saved with the encoder.

        Raises:
            ValueError: the width is below 1.
        """
        self.projection = Projection(int(self.network.features), features, batch_norm=batch_norm).to(self.mean.device)  # type: ignore[arg-type]
        self.features = features
        self.architecture["projection"] = {"features": features, "batch_norm": batch_norm}

    def add_attention(self, *, environments: int) -> None:
        """Let a freshly made `Attention` gate the network's feature map from now on; it is saved with the encoder.

        Raises:
            ValueError: the network has no feature map, or one that it does not average.
        """
        if self.architecture["modality"] != "images":
            raise ValueError(
                f"attention gates the feature map of an image, this encoder takes {self.architecture['modality']}"
            )
        if self.architecture.get("pooling") == "flatten":
            raise ValueError("attention needs a feature map that is averaged: leave --pooling flatten out")
        training = self.training
        # Only trying shows how large a network's map is.
        with torch.no_grad():
            maps = self.eval()._maps(self.mean.new_zeros(1, *self.architecture["shape"]))
        self.train(training)
        if maps.shape[1] != self.network.features:
            raise ValueError(
                f"attention needs a feature map of the {self.network.features} channels of the embedding, "
                f"{self.architecture['name']} has one of {maps.shape[1]}: take a ResNet"
            )
        attention = Attention(maps.shape[1], maps.shape[2:].numel(), environments=environments)
        self.attention = attention.to(self.mean.device)
        self.architecture["attention"] = {"environments": environments}

    def maps(
        self,
        images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch map_channels map_height map_width"]:
        """Return the network's last feature map, before it is gated and averaged.

        Raises:
            ValueError: the network has none.
        """
        return self._maps(self.normalize(images))  # type: ignore[arg-type]

    def embed_maps(
        self, maps: Float[Tensor, "batch map_channels map_height map_width"]
    ) -> Float[Tensor, "batch features"]:
        """Turn feature maps into embeddings as inference does: by the mean weights of the gates, if any."""
        if self.attention is None:
            pooled = maps.mean((2, 3))
        else:
            pooled = self.attention(maps, self.attention.mean_weights()).squeeze(0)
        return pooled if self.projection is None else self.projection(pooled)

    def _maps(self, images: Tensor) -> Tensor:
        find = getattr(self.network, "maps", None) or getattr(self.network, "forward_features", None)
        maps: Tensor | None = None if find is None else find(images)
        if maps is None or maps.dim() != 4:
            raise ValueError(
                f"{self.architecture['name']} has no feature map [batch, channels, height, width]: take a ResNet or "
                "another convolutional network"
            )
        return maps

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
        values = unit_range(images).contiguous(memory_format=torch.channels_last)
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
        values = unit_range(inputs)
        values = self._scale(values, axis=1, what="channels" if inputs.dim() == 4 else "columns")
        return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values

    def _scale(self, values: Tensor, *, axis: int, what: str) -> Tensor:
        if values.shape[axis] != len(self.mean):
            raise ValueError(f"this encoder takes {len(self.mean)} {what}, got samples of {values.shape[axis]}")
        shape = [-1 if place == axis else 1 for place in range(values.dim())]
        return (values - self.mean.view(shape)) / self.deviation.view(shape)
