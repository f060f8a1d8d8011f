"""What a trained model looks at in an image, from its own evidence."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.encoders.apply import at_rest
from unconfound.functional.inputs import unit_range
from unconfound.functional.saliency import xgrad_cam


def class_saliency(
    model: nn.Module, images: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch rows columns"]:
    """Compute the class activation map (`xgrad_cam`) of the class that a model predicts for each image.

    It is taken on the last map of several places, [batch, features, rows, columns], that the model computes: the last
    convolution's of most networks, and that of the patches of a vision transformer. The model's weights get no
    gradient.

    Args:
        model: images -> logits; it is in evaluation mode for the time being.
        images: uint8, or float in [0, 1].

    Raises:
        ValueError: the model computes no such map.
    """
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            maps[:] = [output]

    with ExitStack() as stack:
        stack.enter_context(at_rest(model))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(images.device.type, enabled=False))
        for module in model.modules():
            stack.callback(module.register_forward_hook(keep).remove)
        logits = model(unit_range(images).detach().requires_grad_())
        if not maps:
            raise ValueError(
                "the encoder computes no map of features of several places, on which saliency could be seen: take a "
                "convolutional encoder, such as --encoder resnet18"
            )
        (gradients,) = torch.autograd.grad(logits.gather(1, logits.argmax(1, keepdim=True)).sum(), maps)
    return xgrad_cam(maps[0].detach(), gradients)
