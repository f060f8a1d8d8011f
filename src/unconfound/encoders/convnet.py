"""A small convolutional network: for small images and small machines."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn

from unconfound.options.encoders import Pooling


class ConvNet(nn.Module):
    """3 x 3 convolutions with BatchNorm and ReLU, halving the side and doubling the width, then pooling.

    Args:
        channels: of the images.
        width: channels of the first convolution; the last has 2^(depth - 1) times as many.
        depth: number of convolutions. Images need a side of at least 2^(depth - 1).
        pooling: "mean" over all places; or "flatten", which keeps where on the image something is, as the shapes of
            digits need, for images of one size.
        size: (height, width) of the images; for "flatten".
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 32,
        depth: int = 4,
        pooling: Pooling = "mean",
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.pooling = pooling
        self.features = widths[-1]
        if pooling == "flatten":
            if size is None:
                raise ValueError("a convnet that flattens needs the size of its images")
            # A convolution of stride 2 leaves half of a side, rounded up.
            self.features *= math.prod(-(-side // 2 ** (depth - 1)) for side in size)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, stride=1 if level == 0 else 2, padding=1, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(inplace=True),
                )
                for level, (before, after) in enumerate(zip([channels, *widths], widths, strict=False))
            )
        )

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        maps = self.maps(images)
        return maps.mean((2, 3)) if self.pooling == "mean" else maps.flatten(1)

    def maps(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """Return the last convolution's map, before it is pooled."""
        maps: Tensor = self.blocks(images)
        return maps
