"""Call an encoder that others wrote, and say what to wrap where it takes or gives something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.documents import one_line

# Parts of the results of transformers that are embeddings already, or become such.
POOLED = ("image_embeds", "pooler_output")
TOKENS = "last_hidden_state"
# Words of an error -> what to wrap. The first that fits is said.
TYPES = ("unsigned char", "byte", "uint8", "scalar type", "dtype", "not implemented for")
ARRAYS = ("'tensor' object has no attribute", "numpy")
CHANNELS = ("channel",)
SIZES = ("size", "shape", "height", "match", "dimension")


def rows_of(encoder: Callable[[Any], Any], inputs: Any) -> Float[Tensor, "batch features"]:
    """Embed a batch.

    Args:
        encoder: any module or function.
        inputs: a tensor, Graphs or Sequences.

    Raises:
        ValueError: it does not take the inputs, or gives something other than [batch, features]; the message says what
            to wrap. What an encoder of unconfound raises is raised as it is.
    """
    try:
        rows = encoder(inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a program of others raises
        if type(encoder).__module__.partition(".")[0] == "unconfound":
            raise
        raise ValueError(
            f"the encoder does not take {_described(inputs)} ({one_line(error)}){_about_input(inputs, error)}"
        ) from error
    if isinstance(rows, Tensor) and rows.dim() == 2 and len(rows) == len(inputs):
        return rows
    raise ValueError(
        f"the encoder gave {_named(rows)} for {len(inputs)} samples, but a tensor [{len(inputs)}, features] is needed: "
        f"{_about_output(rows)}"
    )


def _described(inputs: Any) -> str:
    if not isinstance(inputs, Tensor):
        return type(inputs).__name__
    axes = " [batch, channels, height, width]" if inputs.dim() == 4 else ""
    return f"{str(inputs.dtype).removeprefix('torch.')} of shape {list(inputs.shape)}{axes}"


def _about_input(inputs: Any, error: Exception) -> str:
    if not (isinstance(inputs, Tensor) and inputs.dim() == 4):
        return ""
    said = str(error).lower()
    if any(word in said for word in ARRAYS):
        return ": if it takes numpy, give lambda images: torch.from_numpy(encoder(images.numpy()))"
    if any(word in said for word in TYPES) and inputs.dtype == torch.uint8:
        return ": if it takes floats in [0, 1], give lambda images: encoder(images / 255)"
    if any(word in said for word in CHANNELS):
        return (
            ": if it takes channels last, give lambda images: encoder(images.permute(0, 2, 3, 1)); if another number "
            "of them, --channels"
        )
    if any(word in said for word in SIZES):
        return (
            ": if it takes another size, give --image-size, or lambda images: "
            "encoder(torch.nn.functional.interpolate(images / 255, (224, 224)))"
        )
    return ": wrap it in a function that takes these"


def _named(rows: object) -> str:
    if isinstance(rows, Tensor):
        return f"a tensor {list(rows.shape)}"
    if isinstance(rows, np.ndarray):
        return f"a numpy array {list(rows.shape)}"
    if isinstance(rows, tuple | list):
        return f"a {type(rows).__name__} of {len(rows)}"
    return type(rows).__name__


def _about_output(rows: Any) -> str:
    if isinstance(rows, np.ndarray):
        return "give lambda images: torch.from_numpy(encoder(images))"
    if isinstance(rows, Tensor):
        if rows.dim() == 4:
            return "pool its maps, lambda images: encoder(images).mean((2, 3))"
        if rows.dim() == 3:
            return "take the class token, lambda images: encoder(images)[:, 0], or the mean, .mean(1)"
        return "pool or flatten its output"
    if isinstance(rows, tuple | list):
        return "take one of them, as in lambda images: encoder(images)[0]"
    pooled = next((name for name in POOLED if getattr(rows, name, None) is not None), None)
    if pooled is not None:
        return f"take a part of it, lambda images: encoder(images).{pooled}"
    if getattr(rows, TOKENS, None) is not None:
        return f"take a part of it, lambda images: encoder(images).{TOKENS}[:, 0]"
    if isinstance(rows, Mapping) and rows:
        key = next((name for name in (*POOLED, TOKENS) if name in rows), next(iter(rows)))
        token = "[:, 0]" if key == TOKENS else ""
        return f"take a part of it, lambda images: encoder(images)[{key!r}]{token} ({', '.join(map(str, [*rows][:5]))})"
    return "wrap it in a function that returns one"
