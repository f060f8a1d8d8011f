"""Two random views of every image of a batch, made on the images' device."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.functional.distributed import uniform
from unconfound.options.views import ImageViewOptions
from unconfound.views.blur import gaussian_blur
from unconfound.views.colour import blend
from unconfound.views.geometry import BOX_NUMBERS, Resampling, plan_resampling, random_boxes, resample
from unconfound.views.jitter import (
    JITTER_NUMBERS,
    Jitter,
    allowed_operations,
    apply_jitter,
    hue_position,
    plan_jitter,
    random_jitter,
)

SIGMA = (0.1, 2.0)
# Uniform numbers a view: for its crop, flip, jitter, grayscale and blur.
NUMBERS = [BOX_NUMBERS, 1, JITTER_NUMBERS, 1, 2]
# Elements of views that are worked on at once: on the CPU what its caches hold, elsewhere a bound on memory.
CHUNK_CPU = 2**19
CHUNK_DEVICE = 2**26


@dataclass(frozen=True)
class _Plan:
    """What happens to each view, in the order in which they are worked on."""

    source: Int[Tensor, " views"]
    crop: Resampling
    jitter: Jitter | None
    grayscale: Bool[Tensor, " views"]
    blurred: Bool[Tensor, " views"]
    sigma: Float[Tensor, " views"]


@dataclass(frozen=True)
class _Group:
    """So many views that take the same steps. `position` is None where their orders of jitter differ."""

    count: int
    jitter: bool
    grayscale: bool
    blur: bool
    position: int | None = None


class ImageViews:
    """Make two random views of every image, as SimCLR does (Chen et al., ICML 2020, appendix A).

    Each view is a random crop brought to `size`, perhaps mirrored (both in one resampling), then perhaps jittered in
    colour, made gray and blurred, in this order. At equal parameters each step agrees with torchvision's on float
    tensors within 1e-5; all are drawn anew for every view of every image, as torchvision draws them.

    The whole batch is worked on at once on its device. Nothing waits for the device, so that views are made while it is
    still busy with the step before. Gradients do not flow through.

    Args:
        size: side of the views in pixels.
        options: of the views. Crops lie in (0, 1] of the image's area. The strengths of brightness, contrast and
            saturation are factors in [max(0, 1 - strength), 1 + strength]; that of hue turns it by up to that share of
            the circle, at most 0.5; all four come in random order. A blur has a standard deviation in [0.1, 2] pixels
            and a window of a tenth of the side, at least 3 pixels.

    Images without three channels keep brightness, contrast, flip, crop and blur; saturation, hue and grayscale have no
    meaning for them and are left out.

    Raises:
        ValueError: an option is out of its range.
        TypeError: `size` is no whole number.
    """

    def __init__(self, size: int, options: ImageViewOptions | None = None) -> None:
        self.size, self.options = size, options or ImageViewOptions()
        _check_size(size, blur=self.options.blur_probability)
        check_range("crop_scale", self.options.crop_scale, highest=1)
        check_range("crop_ratio", self.options.crop_ratio, highest=math.inf)
        _check_jitter(self.options.jitter)

    @torch.no_grad()
    def __call__(
        self, images: Tensor, generator: torch.Generator | None = None, *, count: int = 2
    ) -> Float[Tensor, "views channels {self.size} {self.size}"]:
        """Make two views of every image, or another number.

        With equal generators, a batch that is spread over processes gets the views that one process would make of it.

        Args:
            images: [batch, channels, height, width], uint8, or float in [0, 1] (which is not checked).
            generator: where the randomness comes from, on any device; by default torch's global one of the images'
                device.
            count: views of an image, at least 1.

        Returns:
            [count x batch, channels, size, size], float32 in [0, 1]: the first views of all images, then the second
            ones, ...

        Raises:
            ValueError: `images` has not four dimensions, or none of something.
            TypeError: `images` is neither uint8 nor float.
        """
        _check_images(images)
        batch, channels = images.shape[:2]
        numbers = uniform(batch, count, sum(NUMBERS), generator=generator, device=images.device)
        numbers = numbers.to(images.device, non_blocking=True).transpose(0, 1).flatten(0, 1)
        on_cpu = images.device.type == "cpu"
        order, groups = self._alike(numbers, channels) if on_cpu else self._together(numbers, channels)
        plan = self._plan(images, numbers[order], order % batch)
        views = torch.empty(count * batch, channels, self.size, self.size, device=images.device)
        chunk = max(1, (CHUNK_CPU if on_cpu else CHUNK_DEVICE) // views[0].numel())
        start = 0
        with _full_precision(images.device.type):
            for group in groups:
                for first in range(start, start + group.count, chunk):
                    rows = slice(first, min(first + chunk, start + group.count))
                    views.index_copy_(0, order[rows], self._make(images, plan, group, rows))
                start += group.count
        return views

    def _operations(self, channels: int) -> tuple[int, ...]:
        wanted = tuple(strength > 0 and self.options.jitter_probability > 0 for strength in self.options.jitter)
        return allowed_operations(wanted, channels)

    def _together(self, numbers: Tensor, channels: int) -> tuple[Tensor, list[_Group]]:
        """One group of all views, whose every step leaves alone whom it does not concern: no waiting for the device."""
        group = _Group(
            count=len(numbers),
            jitter=bool(self._operations(channels)),
            grayscale=self.options.grayscale_probability > 0 and channels == 3,
            blur=self.options.blur_probability > 0,
        )
        return torch.arange(len(numbers), device=numbers.device), [group]

    def _alike(self, numbers: Tensor, channels: int) -> tuple[Tensor, list[_Group]]:
        """Views sorted into groups that take the same steps, so that no step is made in vain."""
        _, _, jitter, gray, blur = numbers.split(NUMBERS, dim=1)
        key = 2 * (gray[:, 0] < self.options.grayscale_probability) * (channels == 3)
        key += blur[:, 0] < self.options.blur_probability
        active = self._operations(channels)
        if active:
            jittered = jitter[:, 0] < self.options.jitter_probability
            key += torch.where(jittered, 4 + 4 * hue_position(jitter[:, -4:], active), 0)
        groups = [
            _Group(
                count=count,
                jitter=kind >= 4,
                grayscale=kind & 2 > 0,
                blur=kind & 1 > 0,
                position=kind // 4 - 1,
            )
            for kind, count in enumerate(key.bincount().tolist())
        ]
        return key.argsort(), groups

    def _plan(self, images: Tensor, numbers: Tensor, source: Tensor) -> _Plan:
        _, channels, height, width = images.shape
        crop, flip, jitter, gray, blur = numbers.split(NUMBERS, dim=1)
        options, active = self.options, self._operations(channels)
        boxes = random_boxes(crop, height=height, width=width, scale=options.crop_scale, ratio=options.crop_ratio)
        mirrored = flip[:, 0] < options.flip_probability
        factors, keys = random_jitter(jitter, strengths=options.jitter, probability=options.jitter_probability)
        return _Plan(
            source=source,
            crop=plan_resampling(boxes, height=height, width=width, size=self.size, flip=mirrored),
            jitter=plan_jitter(factors, keys, active) if active else None,
            grayscale=gray[:, 0] < options.grayscale_probability,
            blurred=blur[:, 0] < options.blur_probability,
            sigma=SIGMA[0] + (SIGMA[1] - SIGMA[0]) * blur[:, 1],
        )

    def _make(self, images: Tensor, plan: _Plan, group: _Group, rows: slice) -> Tensor:
        views = resample(images.index_select(0, plan.source[rows]), plan.crop, rows=rows)
        if group.jitter and plan.jitter is not None:
            views = apply_jitter(views, plan.jitter, rows=rows, position=group.position)
        if group.grayscale:
            gray = plan.grayscale[rows].float()
            views = blend(views, 1 - gray, gray=gray)
        if group.blur:
            sigma = torch.where(plan.blurred[rows], plan.sigma[rows], 1e-6)
            views = gaussian_blur(views, sigma, kernel=2 * max(1, self.size // 20) + 1)
        return views.clamp_(0, 1)


def _full_precision(device_type: str) -> AbstractContextManager[object]:
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


def _check_size(size: int, *, blur: float) -> None:
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"size is {size!r}: it must be a whole number of pixels, the side of a square view")
    if size < (2 if blur else 1):
        raise ValueError(f"size is {size}: a view needs a side of at least {2 if blur else 1} pixels")


def check_range(name: str, limits: tuple[float, float], *, highest: float) -> None:
    """Refuse limits that are no (low, high) with 0 < low <= high <= highest, both finite.

    Raises:
        ValueError: names the option.
    """
    if len(limits) != 2 or not 0 < limits[0] <= limits[1] <= highest or math.isinf(limits[1]):
        allowed = "0 < low <= high" + (f" <= {highest:g}" if math.isfinite(highest) else "")
        raise ValueError(f"{name} is {limits}: it must be (low, high) with {allowed}")


def _check_jitter(jitter: tuple[float, float, float, float]) -> None:
    if len(jitter) != 4 or not all(0 <= strength < math.inf for strength in jitter) or jitter[3] > 0.5:
        raise ValueError(
            f"jitter is {jitter}: it must be four strengths of at least 0 (brightness, contrast, saturation, hue),"
            " the hue's at most 0.5"
        )


def _check_images(images: Tensor) -> None:
    if images.dim() != 4 or 0 in images.shape:
        raise ValueError(
            f"images have the shape {tuple(images.shape)}: it must be [batch, channels, height, width], none of them 0"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(f"images are {images.dtype}: they must be uint8, or float in [0, 1]")
