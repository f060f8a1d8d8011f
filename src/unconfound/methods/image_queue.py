"""Images of earlier batches and their labels, to choose partners among more samples than a batch holds (CIM)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.functional.distributed import gather

# Images are told apart by the mean colours of so many fields a side: where things are is lost, what the light is like
# stays, and distances of all pairs are one matrix product.
_FIELDS = 4


class ImageQueue(nn.Module):
    """The last `length` images that were pushed, with 8 bits a channel. It is saved and resumed.

    Args:
        length: images held; any batch size goes, whether it divides `length` or not.
        shape: (channels, height, width) of an image.

    Raises:
        ValueError: `length` is below 1.
    """

    images: Tensor
    labels: Tensor
    pointer: Tensor

    def __init__(self, length: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"a queue holds at least one image, got {length}")
        self.register_buffer("images", torch.zeros(length, *shape, dtype=torch.uint8))
        # -1 where there is no image yet.
        self.register_buffer("labels", torch.full((length,), -1))
        self.register_buffer("pointer", torch.tensor(0))

    def with_batch(
        self, images: Float[Tensor, "batch channels height width"], labels: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "all channels height width"], Int[Tensor, " all"]]:
        """Return images in [0, 1] and labels of all processes' batch, followed by the queue's."""
        held = self.images.to(images.dtype) / 255
        return torch.cat([gather(images), held]), torch.cat([gather(labels), self.labels])

    @torch.no_grad()
    def push(self, images: Float[Tensor, "batch channels height width"], labels: Int[Tensor, " batch"]) -> None:
        """Put the images of all processes, in the order of the ranks, in place of the oldest.

        Call it after the queue was used. Of more images than the queue is long, the last stay.

        Args:
            images: in [0, 1], of this process's samples; every process has as many.
            labels: 0 or above.
        """
        length = len(self.images)
        everyone, every_label = gather((images * 255).round().to(torch.uint8)), gather(labels)
        skipped = max(len(everyone) - length, 0)
        places = (self.pointer + torch.arange(skipped, len(everyone), device=images.device)) % length
        self.images.index_copy_(0, places, everyone[skipped:])
        self.labels.index_copy_(0, places, every_label[skipped:])
        self.pointer.add_(len(everyone)).remainder_(length)


def difference(
    first: Float[Tensor, "batch channels height width"], second: Float[Tensor, "all channels height width"]
) -> Float[Tensor, "batch all"]:
    """Compute how much each pair of images differs: the distance of the mean colours of 4 x 4 fields."""
    own, other = (F.adaptive_avg_pool2d(images, _FIELDS).flatten(1).float() for images in (first, second))
    return torch.cdist(own, other)
