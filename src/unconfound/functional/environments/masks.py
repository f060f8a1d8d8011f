"""How a loss changes with masks that are laid on a feature map: what DCML's environments disagree about.

Deng and Zhang, "Deep Causal Metric Learning" (ICML 2022), objective for the environments, second term. In the authors'
code, two masks of ones multiply the attended map, one a channel and one a place, and the squared gradients by both are
penalised. For a head that starts with the mean over places both are products of the map and of the gradient by that
mean, one sample at a time and without differentiating the network.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.functional.inputs import check_floating, wide_pair


def mask_gradients(
    maps: Float[Tensor, "batch channels height width"], pooled_gradient: Float[Tensor, "batch channels"]
) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch places"]]:
    """Compute the gradients of each sample's loss by a mask of channels and a mask of places, at masks of ones.

    With z the mean of a map F over its P places: z_c dl/dz_c for channel c, and sum_c F_cp dl/dz_c / P for place p,
    Grad-CAM's map without its rectifier. Both sum to the same number over their entries; to 0 where the loss does not
    depend on the length of z, as with a linear head without a bias and cosines behind it.

    Args:
        maps: F, what the masks multiply.
        pooled_gradient: dl/dz, of each sample's own loss.

    Returns:
        [batch, channels] and [batch, height x width].

    Raises:
        TypeError: an input is not floating-point.
        ValueError: shapes do not fit, or the maps have no place.
    """
    for name, given in (("maps", maps), ("pooled_gradient", pooled_gradient)):
        check_floating(name, given)
    if maps.dim() != 4 or maps.shape[:2] != pooled_gradient.shape or maps[0:0].shape[2:].numel() == 0:
        raise ValueError(
            "maps must be [batch, channels, height, width] and pooled_gradient [batch, channels], "
            f"got shapes {tuple(maps.shape)} and {tuple(pooled_gradient.shape)}"
        )
    with torch.autocast(maps.device.type, enabled=False):
        maps, gradient = wide_pair(maps, pooled_gradient)
        places = maps.flatten(2)
        spatial = torch.bmm(gradient[:, None], places).squeeze(1) / places.shape[2]
        return places.mean(2) * gradient, spatial
