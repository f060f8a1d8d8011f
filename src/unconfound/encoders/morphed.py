"""A network that is shown images whose pixels another, small one has weighted.

Asgari Taghanaki et al., "Robust Representation Learning via Perceptual Similarity Metrics", ICML 2021, Figure 1. The
slides say that the small one is an auxiliary network with a weighting matrix as its output; its layers are our choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unconfound.encoders.normalized import Images
from unconfound.functional.inputs import unit_range

# Before training the mask is at 92 % of its range: sigmoid(2.5).
_FIRST_BIAS = 2.5
# The mask's last weights are so much smaller than others at first, so that training starts near the identity.
_FIRST_SCALE = 0.1
# Channels of each level; small images halve once, large ones three times.
_SMALL, _LARGE = (16, 32), (16, 32, 64, 64)


@final
class Morphed(nn.Module):
    """A `Morpher`, then the network.

    Args:
        network: takes images in [0, 1].
        architecture: of the encoder, with the modality and the shape of a sample.
        mask_channels, reduction, lowest: of the morpher.

    Raises:
        ValueError: the encoder takes no images, or an argument is out of `Morpher`'s range.
    """

    def __init__(
        self,
        network: nn.Module,
        architecture: Mapping[str, Any],
        *,
        mask_channels: int = 1,
        reduction: int = 1,
        lowest: float = 0.0,
    ) -> None:
        super().__init__()
        if architecture["modality"] != "images":
            raise ValueError(f"a morpher weights the pixels of images, this encoder takes {architecture['modality']}")
        if any(isinstance(module, Morphed) for module in network.modules()):
            raise ValueError("this encoder has a morpher already: start from a run without, or train another method on")
        self.network = network
        self.features = int(network.features)  # type: ignore[arg-type]
        channels, *size = architecture["shape"]
        morpher = Morpher(channels, side=min(size), mask_channels=mask_channels, reduction=reduction, lowest=lowest)
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


@final
class Morpher(nn.Module):
    """An image -> a mask below 1: a U-Net of GroupNorm and ReLU, two 3 x 3 convolutions a level.

    Args:
        channels: of the images.
        side: of the images, the shorter one in pixels; from 96 pixels on there are four levels, else two.
        mask_channels: 1 for one weight a pixel, or `channels` for one each.
        reduction: 1, or 2 or 4 to look at images of a half or a quarter of the side; the mask is enlarged bilinearly.
        lowest: the mask is above this value, in [0, 1).

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        side: int,
        mask_channels: int = 1,
        reduction: int = 1,
        lowest: float = 0.0,
    ) -> None:
        super().__init__()
        if mask_channels not in (1, channels):
            raise ValueError(f"mask_channels must be 1 or the {channels} channels of the images, got {mask_channels}")
        if reduction not in (1, 2, 4):
            raise ValueError(f"reduction must be 1, 2 or 4, got {reduction}")
        if not 0 <= lowest < 1:
            raise ValueError(f"lowest must be in [0, 1), got {lowest}")
        widths = _LARGE if side >= 96 else _SMALL
        if side // reduction < 2 ** len(widths):
            raise ValueError(
                f"a morpher needs images of at least {2 ** len(widths) * reduction} pixels a side, got {side}: "
                "give larger images or a smaller reduction"
            )
        self.reduction, self.lowest = reduction, lowest
        self.down = nn.ModuleList(
            _block(before, after, stride=1 if level == 0 else 2)
            for level, (before, after) in enumerate(zip([channels, *widths], widths, strict=False))
        )
        self.up = nn.ModuleList(
            _block(widths[level + 1] + widths[level], widths[level]) for level in reversed(range(len(widths) - 1))
        )
        self.last = nn.Conv2d(widths[0], mask_channels, 1)
        with torch.no_grad():
            self.last.weight.mul_(_FIRST_SCALE)
            self.last.bias.fill_(_FIRST_BIAS)  # type: ignore[union-attr]

    def start_at(self, first: float) -> None:
        """Let the mask have about this value before training.

        Raises:
            ValueError: it is not between the lowest value and 1.
        """
        if not self.lowest < first < 1:
            raise ValueError(f"the first mask must be in ({self.lowest:g}, 1), got {first:g}")
        self.last.bias.data.fill_(math.log((first - self.lowest) / (1 - first)))  # type: ignore[union-attr]

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch mask_channels height width"]:
        """Return the weight of each pixel in (lowest, 1).

        Args:
            images: in [0, 1].
        """
        maps = images if self.reduction == 1 else F.avg_pool2d(images, self.reduction)
        levels = []
        for block in self.down:
            maps = block(maps)
            levels.append(maps)
        for block, beside in zip(self.up, reversed(levels[:-1]), strict=True):
            maps = block(torch.cat([_enlarged(maps, beside), beside], 1))
        # In full precision: near 1 half precision knows few masks.
        logits = self.last(maps).float() if maps.dtype != torch.float64 else self.last(maps)
        share = torch.sigmoid(logits if self.reduction == 1 else _enlarged(logits, images))
        return share if self.lowest == 0 else self.lowest + (1 - self.lowest) * share


def _block(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(inplace=True),
    )


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)
