"""Random views of foregrounds: each in other colours, at another place, and on another image's background."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from unconfound.functional.distributed import uniform, world
from unconfound.options.views import ForegroundViewOptions
from unconfound.views.backgrounds import check_others, random_cycle
from unconfound.views.jitter import JITTER_NUMBERS, allowed_operations, apply_jitter, plan_jitter, random_jitter
from unconfound.views.layers import layers_of
from unconfound.views.placement import PLACEMENT_NUMBERS, placed, random_placements


class ForegroundViews:
    """Make random views of images that share the foreground, but neither its colour nor its place nor its background.

    For each view, the foreground is cut out along its mask, changed in colour, turned, scaled, sheared, brought to
    another place (see `random_placements`), and pasted on the background of another image, which is filled where that
    image's own foreground was. The backgrounds of all first views come by one random cycle through the images of the
    batch, those of all second views by another, and so on: each image gives its background once a view.

    Ryali et al., "Characterizing and Improving the Robustness of Self-Supervised Learning through Background
    Augmentations" (2021), exchange the background of a whole view (BG_Random); here the foreground moves on it, too.

    Nothing waits for the device, and no gradients flow through.

    Args:
        options: of the views.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(self, options: ForegroundViewOptions | None = None) -> None:
        self.options = options or ForegroundViewOptions()

    @torch.no_grad()
    def __call__(
        self,
        images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
        masks: Bool[Tensor, "batch 1 height width"],
        generator: torch.Generator | None = None,
        *,
        count: int = 2,
    ) -> Float[Tensor, "views channels height width"]:
        """Make views of a batch.

        An image stays on its own background if its mask is empty, as there is nothing to paste, or if the mask of the
        image that would give the background covers all of that image. With several processes, backgrounds come from
        the images of all of them, and with equal generators each process gets what one process would make of its
        images.

        Args:
            images: uint8, or float in [0, 1].
            masks: 1 on the foreground.
            generator: where the randomness comes from; by default torch's global one of the images' device.
            count: views of an image, at least 1.

        Returns:
            [count x batch, channels, height, width] in [0, 1]: the first views of all images, then the second ones, ...

        Raises:
            ValueError: fewer than two images over all processes, or masks of another size.
        """
        check_others(images)
        options = self.options
        layers = layers_of(images, masks, rim=options.rim, soft_edge=options.soft_edge)
        images, holes = layers.images, layers.holes
        own = world()[0] * len(images) + torch.arange(len(images), device=images.device)
        # An image that is foreground all over stands on itself where it must stand on its own background.
        own_background = torch.where(layers.covered[own].view(-1, 1, 1, 1), images, layers.backgrounds[own])
        shows = masks.flatten(1).any(1)
        # Contrast is measured against the mean of an image, which must not tell of the background.
        foregrounds = images.masked_fill(~holes, 0)
        views = []
        for _ in range(count):
            edges = layers.shown(generator=generator)
            numbers = uniform(
                len(images), JITTER_NUMBERS + PLACEMENT_NUMBERS, generator=generator, device=images.device
            )
            colours, places = numbers.to(images).split([JITTER_NUMBERS, PLACEMENT_NUMBERS], dim=1)
            maps = random_placements(
                places, edges, turn=options.turn, scale=options.scale, shear=options.shear, shift=options.shift
            )
            shown, opacity = placed(self._in_other_colours(foregrounds, colours), edges, maps)
            donors = random_cycle(len(images), device=images.device, generator=generator)
            stays = (~shows | layers.covered[donors]).view(-1, 1, 1, 1)
            behind = torch.where(stays, own_background, layers.backgrounds[donors])
            views.append(torch.addcmul(shown, behind, 1 - opacity))
        return torch.cat(views).clamp_(0, 1)

    def _in_other_colours(self, images: Tensor, numbers: Tensor) -> Tensor:
        strengths = self.options.jitter
        active = allowed_operations(tuple(strength > 0 for strength in strengths), images.shape[1])
        if not active:
            return images
        factors, keys = random_jitter(numbers, strengths=strengths, probability=1.0)
        return apply_jitter(images, plan_jitter(factors, keys, active))
