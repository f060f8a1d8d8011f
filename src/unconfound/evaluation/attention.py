"""Where the spatial gates of an encoder with attention are open, and how much of them lies on the foreground."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from unconfound.data import Source
from unconfound.encoders import Gated
from unconfound.encoders.apply import at_rest


def spatial_gates(
    gated: Gated, source: Source, index: Int[Tensor, " images"], *, device: str, batch_size: int
) -> tuple[list[Tensor], Float[Tensor, "gates images rows columns"], Tensor | None]:
    """Run the gated network of an encoder over some images.

    Args:
        gated: the wrapper of the encoder that has the gates; it is left as it is.
        source: images.
        index: which of them.
        device: where the network runs.
        batch_size: images at a time.

    Returns:
        The images, their spatial gates, and the masks of their foregrounds, if known; all on the CPU. The gate of the
        mean weights comes first; then those of the environments, if there are several.
    """
    images: list[Tensor] = []
    found, masks = [], []
    with at_rest(gated, torch.device(device)), torch.inference_mode():
        attention = gated.attention
        for batch in source.batches(index.split(batch_size)):
            assert isinstance(batch.inputs, Tensor)
            maps = gated.maps(batch.inputs.to(device))
            spatial = [attention.gates(maps, attention.mean_weights())[0]]
            if attention.environments > 1:
                spatial.append(attention.gates(maps)[0])
            found.append(torch.cat(spatial).squeeze(2).float().cpu())
            images.extend(batch.inputs)
            masks.append(batch.masks)
    known = [mask for mask in masks if mask is not None]
    return images, torch.cat(found, 1), torch.cat(known) if len(known) == len(masks) else None


def foreground_shares(
    gates: Float[Tensor, "gates images rows columns"], masks: Float[Tensor, "images 1 height width"]
) -> tuple[Float[Tensor, "gates images"], Float[Tensor, " images"]]:
    """Return the share of each gate that lies on the foreground, and the foreground's area, which a flat gate has.

    Args:
        gates: above 0; a place counts as much as it is let through, spread evenly over its part of the image.
        masks: 1 on the foreground.
    """
    covered = adaptive_avg_pool2d(masks.double(), (gates.shape[2], gates.shape[3])).squeeze(1)
    opened = gates.double().clamp_min(1e-30)
    shares = (opened * covered).sum((2, 3)) / opened.sum((2, 3))
    return shares, covered.mean((1, 2))
