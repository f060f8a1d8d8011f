"""A network that is shown images whose pixels another, small one has weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.encoders.morpher import Morpher
from unconfound.encoders.normalized import Images
from unconfound.functional.inputs import unit_range


@final
class Morphed(nn.Module):
    """A `Morpher`, then the network.

    Args:
        network: takes images in [0, 1].
        architecture: of the encoder, with the modality and the shape of a sample.
        mask_channels, reduction: of the morpher.

    Raises:
        ValueError: the encoder takes no images, or an argument is out of `Morpher`'s range.
    """

    def __init__(
        self, network: nn.Module, architecture: Mapping[str, Any], *, mask_channels: int = 1, reduction: int = 1
    ) -> None:
        super().__init__()
        if architecture["modality"] != "images":
            raise ValueError(f"a morpher weights the pixels of images, this encoder takes {architecture['modality']}")
        self.network = network
        self.features = int(network.features)  # type: ignore[arg-type]
        channels, *size = architecture["shape"]
        morpher = Morpher(channels, side=min(size), mask_channels=mask_channels, reduction=reduction)
        self.morpher = morpher.to(memory_format=torch.channels_last)

    def forward(self, images: Images) -> Float[Tensor, "batch features"]:
        embeddings: Tensor = self.network(self.morph(images)[0])
        return embeddings

    def morph(
        self, images: Images
    ) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch mask_channels height width"]]:
        """Return what the network is shown in place of images, in [0, 1], and the mask by which they were weighted."""
        values = unit_range(images).contiguous(memory_format=torch.channels_last)
        mask = self.morpher(values)
        return values * mask, mask
