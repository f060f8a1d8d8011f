"""Models of timm as networks of ours, for images of any size that they can take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.documents import one_line
from unconfound.encoders.published_weights import read_published_weights, take_published_weights
from unconfound.encoders.weights_at_hand import cached_weights, check_weights_at_hand
from unconfound.extras import require
from unconfound.options.encoders import Pooling

# Mean pooling of patches, as timm calls it, and the class token.
_POOLINGS = {"mean": "avg", "token": "token"}
# Taken where no other encoder is named.
_OTHERS = ("convnet", "resnet18", "resnet34", "resnet50")


def build_timm(
    name: str, schema: Schema, *, pretrained: bool | Path, pooling: Pooling | None
) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Make a model of timm without its classifier.

    Weights of a vision transformer that are for images of another size are adapted by timm, which interpolates the
    embeddings of positions.

    Args:
        name: of the model.
        schema: gives the shape of the images.
        pretrained: True: published weights; a path: those of this .safetensors file.
        pooling: of a vision transformer; None: as it was made.

    Returns:
        The network, and mean and deviation of the images that its published weights are for.

    Raises:
        ValueError: an unknown name, a size that the model does not take, a pooling that it does not have, or weights
            that are of another network, that nobody published, or that cannot be had.
        FileNotFoundError: there is no such file of weights.
    """
    timm = require("timm", extra="images")
    if not timm.is_model(name):
        near = get_close_matches(name, [*_OTHERS, *timm.list_models()], n=3)
        raise ValueError(
            f"unknown encoder {name!r}: use {', '.join(_OTHERS)} or the name of a timm model"
            + (f"; nearest: {', '.join(near)}" if near else "")
        )
    if pretrained is True and not timm.is_model_pretrained(name):
        raise ValueError(
            f"nobody published weights for {name!r} of timm: leave --pretrained out, or start --from a file"
        )
    size: tuple[int, int] = schema.shape[1:]  # type: ignore[assignment]
    create: Callable[..., nn.Module] = timm.create_model
    options: dict[str, Any] = {"pretrained": pretrained is True, "num_classes": 0, "in_chans": schema.shape[0]}
    if pretrained is True:
        check_weights_at_hand(name)
        cached = cached_weights(name)
        # Without the network, timm would ask for most of a minute whether there are newer ones.
        options |= {} if cached is None else {"pretrained_cfg_overlay": {"file": str(cached)}}
    try:
        network = _created(create, name, options, size) if isinstance(pretrained, bool) else create(name, **options)
        if not isinstance(pretrained, bool):
            found = read_published_weights(pretrained)
            if hasattr(network, "set_input_size"):
                _set_size_of(network, found)
            else:
                network = _created(create, name, options, size)
            take_published_weights(network, found, source=pretrained, classifier=_classifiers(network))
            set_image_size(network, size)
    except OSError as error:
        if pretrained is not True:
            raise
        raise ValueError(
            f"the published weights of {name!r} are not in the cache and cannot be downloaded ({one_line(error)}): "
            "connect to the internet once, or start --from a .safetensors file or a folder"
        ) from error
    except (RuntimeError, AssertionError, ArithmeticError, TypeError) as error:
        raise _wrong_size(name, size, error) from error
    if pooling is not None:
        _set_pooling(network, name, pooling)
    _try(network, name, schema)
    network.train()
    published: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    return network, (torch.tensor(published["mean"]), torch.tensor(published["std"]))


def set_image_size(network: nn.Module, size: tuple[int, int]) -> None:
    """Adapt a model to images of a size, (height, width), where it is one that must be told."""
    adapt: Any = getattr(network, "set_input_size", None)
    if adapt is not None:
        adapt(img_size=size)


def _set_size_of(network: nn.Module, found: Mapping[str, Tensor]) -> None:
    """Let a vision transformer be for images of the size that weights are for, by how many positions these have."""
    own, there = getattr(network, "pos_embed", None), found.get("pos_embed")
    patches: Any = getattr(network, "patch_embed", None)
    if not isinstance(own, Tensor) or there is None or there.shape == own.shape or there.dim() != 3:
        return
    before = own.shape[1] - patches.num_patches  # class and register tokens
    side = math.isqrt(max(0, there.shape[1] - before))
    if side**2 == there.shape[1] - before:
        set_image_size(network, (side * patches.patch_size[0], side * patches.patch_size[1]))


def _created(create: Callable[..., nn.Module], name: str, options: dict[str, Any], size: tuple[int, int]) -> nn.Module:
    try:
        return create(name, img_size=size, **options)
    except TypeError:  # convolutional models take any size and have no such argument
        return create(name, **options)


def _set_pooling(network: nn.Module, name: str, pooling: Pooling) -> None:
    tokens = getattr(network, "num_prefix_tokens", None)
    reset: Any = getattr(network, "reset_classifier", None)
    if tokens is None or reset is None or pooling == "flatten":
        raise ValueError(
            f"pooling {pooling} is none of {name!r}: mean and token are of vision transformers, mean and flatten of "
            "convnet"
        )
    if pooling == "token" and not tokens:
        raise ValueError(f"{name!r} has no class token: leave --pooling token out, or take mean")
    # Layers stay where the weights were trained with them.
    reset(0, _POOLINGS[pooling])


def _try(network: nn.Module, name: str, schema: Schema) -> None:
    """Find out how wide a model's output is: only trying shows that, and which sizes it takes."""
    try:
        with torch.no_grad():
            network.features = network.eval()(torch.zeros(1, *schema.shape)).shape[1]
    except (RuntimeError, AssertionError, ArithmeticError) as error:
        raise _wrong_size(name, schema.shape[1:], error) from error


def _wrong_size(name: str, size: tuple[int, ...], error: Exception) -> ValueError:
    return ValueError(
        f"{name!r} does not take images of {size[0]} x {size[1]} pixels ({one_line(error)}): give another --image-size"
    )


def _classifiers(network: nn.Module) -> tuple[str, ...]:
    """Name the layers of a published network's classifier, which the encoder leaves out."""
    named: str | tuple[str, ...] = network.pretrained_cfg.get("classifier") or ()  # type: ignore[operator,union-attr]
    return (named,) if isinstance(named, str) else tuple(named)
