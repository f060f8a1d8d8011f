"""What a trained model looks at in an image, from its own evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound.encoders.apply import at_rest
from unconfound.functional.distributed import gather, world
from unconfound.functional.inputs import unit_range
from unconfound.functional.saliency import contra_cam, contrastive_scores, xgrad_cam


def class_saliency(
    model: nn.Module,
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
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
    with _watched(model) as maps:
        logits = model(unit_range(images).detach().requires_grad_())
        gradients = _gradients(logits.gather(1, logits.argmax(1, keepdim=True)), maps)
    return xgrad_cam(maps[0].detach(), gradients)


def contrastive_saliency(
    model: nn.Module,
    images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"],
    *,
    iterations: int = 1,
) -> Float[Tensor, "batch 1 height width"]:
    """Compute where each image is unlike the other images of the batch, in [0, 1]: ContraCAM.

    Mo et al., "Object-aware Contrastive Learning for Debiased Scene Representation" (NeurIPS 2021), section 2.1. What
    one iteration finds is filled with the mean colour of the batch before the next, which is to find the rest of the
    object; the result is the highest value of all. Negatives are the other images, as they were shown in this and all
    earlier iterations, of all processes. The map is that of `class_saliency`.

    Args:
        model: images -> projections; it is in evaluation mode for the time being.
        images: uint8, or float in [0, 1].
        iterations: at least 1.

    Raises:
        ValueError: the model computes no such map, or there is one image over all processes.
    """
    images = unit_range(images).detach()
    rank, processes = world()
    places = torch.arange(len(images) * processes, device=images.device)
    own = places[rank * len(images) : (rank + 1) * len(images), None] == places
    colour = gather(images.mean((2, 3))).mean(0).view(1, -1, 1, 1)
    shown, saliency = images, images.new_zeros(len(images), 1, *images.shape[2:])
    keys: Tensor | None = None
    others: list[Tensor] = []
    for _ in range(iterations):
        with _watched(model) as maps:
            projections = model(shown.clone().requires_grad_())
            others.append(gather(projections.detach()))
            keys = projections.detach() if keys is None else keys
            scores = contrastive_scores(projections, keys, torch.cat(others), own=own.repeat(1, len(others)))
            gradients = _gradients(scores, maps)
        found = contra_cam(maps[0].detach(), gradients, (images.shape[2], images.shape[3]))
        saliency = torch.maximum(saliency, found.to(saliency.dtype))
        shown = images * (1 - saliency) + colour * saliency
    return saliency


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[Tensor]]:
    """Keep the last map of several places that a model computes, while it is at rest and gradients are on."""
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            maps[:] = [output]

    device = next(model.parameters()).device
    with ExitStack() as stack:
        stack.enter_context(at_rest(model))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        for module in model.modules():
            stack.callback(module.register_forward_hook(keep).remove)
        yield maps


def _gradients(scores: Tensor, maps: list[Tensor]) -> Tensor:
    if not maps:
        raise ValueError(
            "the encoder computes no map of features of several places, on which saliency could be seen: take a "
            "convolutional encoder, such as --encoder resnet18"
        )
    (gradients,) = torch.autograd.grad(scores.sum(), maps)
    return gradients
