"""Activations that are computed again in the backward pass and not held."""

from __future__ import annotations

from typing import Any

from torch.nn.modules.batchnorm import _BatchNorm

from unconfound.encoders.encoder import Encoder, find_wrapper
from unconfound.encoders.normalized import Normalized


def checkpoint_gradients(encoder: Encoder) -> None:
    """Let the network of an encoder hold the inputs of its blocks alone while it is trained. Gradients stay the same.

    Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, as timm's models do it.

    Raises:
        ValueError: it is no model of timm that can; or it has BatchNorm, which would count each batch twice.
    """
    normalized = find_wrapper(encoder, Normalized)
    assert normalized is not None
    network, name = normalized.network, encoder.architecture["name"]
    switch: Any = getattr(network, "set_grad_checkpointing", None)
    if switch is None or any(isinstance(layer, _BatchNorm) for layer in network.modules()):
        why = "it does not offer it" if switch is None else "it has BatchNorm, which would count each batch twice"
        raise ValueError(
            "gradient checkpointing is for vision transformers and other models of timm without BatchNorm, not for "
            f"{name} ({why}): leave --gradient-checkpointing out"
        )
    try:
        switch(True)
    except (AssertionError, NotImplementedError) as error:
        raise ValueError(f"timm's {name} has no gradient checkpointing: leave --gradient-checkpointing out") from error
