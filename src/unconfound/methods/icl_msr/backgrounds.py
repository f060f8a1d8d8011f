"""The backgrounds of other images, as strata and for the judge of strata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch
from unconfound.functional.distributed import world
from unconfound.methods.icl_msr.meta_gradient import HostAt, Weights
from unconfound.methods.parts.two_views import Compared, TwoViewMethod
from unconfound.views.backgrounds import exchanged
from unconfound.views.layers import layers_of


def values_on_backgrounds(
    host: TwoViewMethod[Any], batch: Batch, count: int, values: Callable[[Compared], Tensor]
) -> Float[Tensor, "batch strata width"]:
    """Show the host each foreground on `count` backgrounds of other images, with gradients for its weights.

    Each background is an independent draw, and each picture a view as the host draws them. The host compares them two
    by two, for hosts take two views at a time; its loss of them is not used, and its buffers stay as they are.

    Args:
        host: what is trained.
        batch: images with masks, over all processes at least two.
        count: backgrounds a sample.
        values: what to take of the host's comparison: [2 batch, width].

    Raises:
        ValueError: the data are no images, or have no masks.
    """
    inputs, masks = _images_and_masks(batch, option="strata_form backgrounds")
    at = HostAt(host)
    weights: Weights = {name: weight for name, weight in at.named_parameters() if weight.requires_grad}
    shown: list[Tensor] = []
    layers = layers_of(inputs, masks)
    while len(shown) < count:
        views = host.two_views(replace(batch, inputs=exchanged(layers), second_inputs=exchanged(layers)))
        shown += values(at.compare(weights, (views,))).chunk(2)
    return torch.stack(shown[:count], 1)


def on_other_backgrounds(batch: Batch) -> Batch:
    """Put each foreground on the background of the image before it, the first on that of the last.

    Raises:
        ValueError: the data are no images, or have no masks.
    """
    inputs, masks = _images_and_masks(batch, option="exchange_backgrounds")
    rank, processes = world()
    donors = torch.arange(rank * len(batch) - 1, (rank + 1) * len(batch) - 1, device=inputs.device)
    donors = donors % (processes * len(batch))
    inputs = exchanged(layers_of(inputs, masks, fill="mean"), donors=donors)
    return replace(batch, inputs=inputs, second_inputs=None, local_inputs=None)


def _images_and_masks(batch: Batch, *, option: str) -> tuple[Tensor, Tensor]:
    if batch.masks is None or not isinstance(batch.inputs, Tensor) or batch.inputs.dim() != 4:
        raise ValueError(
            f"{option} needs images with masks of their foregrounds: name their folder with --masks, give --masks "
            "estimate, or leave it out"
        )
    return batch.inputs, batch.masks
