"""A small convolutional network: for small images and small machines."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class ConvNet(nn.Module):
    """3 x 3 convolutions with BatchNorm and ReLU, halving the side and doubling the width, then global mean pooling.

    Args:
        channels: of the images.
        width: channels of the first convolution; the last has 2^(depth - 1) times as many.
        depth: number of convolutions. Images need a side of at least 2^(depth - 1).
    """

    def __init__(self, channels: int, *, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.features = widths[-1]
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
        maps: Tensor = self.blocks(images)
        return maps.mean((2, 3))
