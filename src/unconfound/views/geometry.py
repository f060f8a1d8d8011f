"""Random boxes, and the one resampling that cuts them out, flips them and brings them to size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

TRIES = 10
BOX_NUMBERS = 2 * TRIES + 2


def random_boxes(
    numbers: Float[Tensor, "batch numbers"],
    *,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Int[Tensor, "batch 4"]:
    """Turn uniform numbers into random boxes, distributed as those of torchvision's `RandomResizedCrop`.

    A box's area is uniform and its aspect ratio log-uniform. Each image has ten tries for a box that fits into it, and
    otherwise gets the largest central box of an allowed ratio. All tries are made at once; the first that fits counts.

    Args:
        numbers: 22 independent numbers in [0, 1) an image.
        height: of the images, in pixels.
        width: of the images, in pixels.
        scale: lowest and highest area, as a share of the image's.
        ratio: lowest and highest width / height.

    Returns:
        top, left, height and width of each box in pixels.
    """
    area, log_ratio, place = numbers.split([TRIES, TRIES, 2], dim=1)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * area)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    half = (low + (high - low) * log_ratio).div(2).exp()
    root = area.sqrt()
    widths, heights = (root * half).round(), (root / half).round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    found = fits.any(1)
    central_height, central_width = _central_box(height, width, ratio)
    box_width = widths.gather(1, first).squeeze(1).where(found, central_width)
    box_height = heights.gather(1, first).squeeze(1).where(found, central_height)
    room = torch.stack((height - box_height, width - box_width), dim=1)
    # Rounding may lift a number just below 1 to the first place outside.
    corner = torch.minimum((place * (room + 1)).floor(), room)
    corner = torch.where(found[:, None], corner, (room / 2).floor())
    return torch.cat((corner, box_height[:, None], box_width[:, None]), dim=1).long()


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width


@dataclass(frozen=True)
class Resampling:
    """The pixels that each sample of a row or column reaches, and their weights."""

    row_pixels: Int[Tensor, "batch size row_taps"]
    row_weights: Float[Tensor, "batch size row_taps"]
    column_pixels: Int[Tensor, "batch size column_taps"]
    column_weights: Float[Tensor, "batch size column_taps"]


def plan_resampling(
    boxes: Int[Tensor, "batch 4"],
    *,
    height: int,
    width: int,
    size: int,
    flip: Bool[Tensor, " batch"] | None = None,
) -> Resampling:
    """Plan to cut a box out of each image, bring it to `size` x `size` and mirror some: one resampling for all three.

    The resampling is bilinear with antialiasing, as torchvision's `resized_crop` on tensors, and agrees with it within
    1e-5 for float images in [0, 1]. (torchvision rounds uint8 images to whole levels afterwards; here they stay exact.)
    It is separable: each image has a matrix for its rows and one for its columns, so that a batch of differing boxes is
    two batched matrix products.

    Args:
        boxes: top, left, height and width in pixels, inside the image and not empty (which is not checked, as that
            would wait for the device).
        height: of the images, in pixels.
        width: of the images, in pixels.
        size: side of the result in pixels.
        flip: which images to mirror left to right; none by default.
    """
    rows = _triangles(boxes[:, 0], boxes[:, 2], height, size)
    columns = _triangles(boxes[:, 1], boxes[:, 3], width, size, reverse=flip)
    return Resampling(*rows, *columns)


def resample(
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    plan: Resampling,
    *,
    rows: slice = slice(None),
) -> Float[Tensor, "batch channels size size"]:
    """Carry out those rows of a plan that are these images'.

    Returns:
        float32, divided by 255 where the images are uint8.
    """
    batch, channels, height, width = images.shape
    row_weights = plan.row_weights[rows] / 255 if images.dtype == torch.uint8 else plan.row_weights[rows]
    vertical = _matrices(plan.row_pixels[rows], row_weights, height)
    horizontal = _matrices(plan.column_pixels[rows], plan.column_weights[rows], width)
    # Rows first, then channels: both products then have all channels in one matrix, and neither a copy.
    lines = images.transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    short = torch.bmm(vertical, lines.reshape(batch, height, channels * width))
    size = vertical.shape[1]
    return (
        torch.bmm(short.view(batch, size * channels, width), horizontal.mT)
        .view(batch, size, channels, size)
        .transpose(1, 2)
    )


def _triangles(
    start: Int[Tensor, " batch"],
    length: Int[Tensor, " batch"],
    full: int,
    size: int,
    *,
    reverse: Bool[Tensor, " batch"] | None = None,
) -> tuple[Int[Tensor, "batch {size} taps"], Float[Tensor, "batch {size} taps"]]:
    """Find pixels and weights of `size` samples of the stretch [start, start + length): a triangle filter.

    The triangle is one pixel wide to either side, or one sample where samples are further apart than pixels. At the
    ends of the stretch its inner part is scaled up to the sum 1.
    """
    samples = torch.arange(size, device=start.device, dtype=torch.float32)[None]
    if reverse is not None:
        samples = torch.where(reverse[:, None], size - 1 - samples, samples)
    begin, end = start[:, None].float(), (start + length)[:, None].float()
    step = (end - begin) / size
    support = step.clamp_min(1)
    centre = begin + step * (samples + 0.5)
    taps = min(full, 2 * math.ceil(max(1, full / size)) + 1)
    first = (centre - support).floor().clamp_(0, full - taps)
    pixels = first[:, :, None] + torch.arange(taps, device=start.device)
    weights = 1 - (pixels + 0.5 - centre[:, :, None]).abs_().div_(support[:, :, None])
    inside = (pixels >= begin[:, :, None]) & (pixels < end[:, :, None])
    weights = weights.clamp_min_(0).mul_(inside)
    return pixels.long(), weights / weights.sum(2, keepdim=True)


def _matrices(
    pixels: Int[Tensor, "batch size taps"], weights: Float[Tensor, "batch size taps"], full: int
) -> Float[Tensor, "batch size {full}"]:
    return weights.new_zeros(*weights.shape[:2], full).scatter_(2, pixels, weights)
