"""What a convolutional network computes at each place of an image, before that is pooled to an embedding."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.encoders.encoder import Encoder, find_wrapper
from unconfound.encoders.normalized import Images, Normalized


def last_map(network: Normalized, images: Images) -> Any:
    """Return what a network computes before its pooling: a feature map, what else timm's have, or None."""
    inner = network.network
    find: Any = getattr(inner, "maps", None) or getattr(inner, "forward_features", None)
    return None if find is None else find(network.normalize(images))


def feature_map(encoder: Encoder, images: Images, *, places: int) -> Float[Tensor, "batch features rows columns"]:
    """Return the deepest feature map that has at least `places` rows and columns, without gradients.

    The last map of a network is often too coarse to tell where something is. So this is the last output of any layer
    that is fine enough, or the finest of all where none is. Wrappers around the network play no part.

    Args:
        encoder: of images, in evaluation mode.
        images: uint8, or float in [0, 1].
        places: 1 or more.

    Raises:
        ValueError: the network computes no maps [batch, features, rows, columns].
    """
    network = find_wrapper(encoder, Normalized)
    assert network is not None
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            maps.append(output)

    with ExitStack() as stack, torch.no_grad():
        for module in network.network.modules():
            stack.callback(module.register_forward_hook(keep).remove)
        last = last_map(network, images)
    # Some of timm's transformers put the features last, and the maps of others are of patches that saw no other.
    ordered = getattr(network.network, "output_fmt", "NCHW") == "NCHW"
    if not ordered or not isinstance(last, Tensor) or last.dim() != 4:
        raise ValueError(
            f"{encoder.architecture['name']} computes no feature map [batch, features, rows, columns]: take the run of "
            "a convolutional encoder, such as --encoder resnet18"
        )
    fine = [each for each in maps if min(each.shape[2:]) >= places]
    return fine[-1] if fine else max(reversed(maps), key=lambda each: each.shape[2:].numel())
