"""Where to run and how precisely: what a user says, in one vocabulary for every function and command."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, get_args

import torch

from unconfound.options.embedding import EmbeddingOptions
from unconfound.options.training import Precision
from unconfound.suggestions import nearest_name


def choose_device(device: str | torch.device) -> str:
    """Turn "auto" into the best device here, and check any other.

    Args:
        device: "auto", "cpu", "cuda" (the first GPU), "cuda:N" or "mps".

    Returns:
        One of the last four.

    Raises:
        ValueError: an unknown device, or one that is not here.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = ["cpu"] + ["cuda"] * bool(gpus) + ["mps"] * torch.backends.mps.is_available()
    if device == "auto":
        return available[-1]
    numbered = [f"cuda:{index}" for index in range(gpus)]
    if str(device) not in available + numbered:
        *known, last = "auto", *available, *numbered
        raise ValueError(f"device {str(device)!r} is not available here: use {', '.join(known)} or {last}")
    return str(device)


def choose_precision(precision: str, device: str) -> Precision:
    """Turn "auto" into "bf16" where the hardware multiplies bfloat16 matrices faster, else "32", and check any other.

    Args:
        precision: "auto", "32", "bf16" or "16"; the last two are mixed: weights and sums stay in float32.
        device: what `choose_device` returns.

    Returns:
        One of the last three.

    Raises:
        ValueError: an unknown precision.
    """
    for known in get_args(Precision):
        if precision == known != "auto":
            return known  # type: ignore[no-any-return]
    if precision != "auto":
        raise ValueError(f"unknown precision {precision!r}: {nearest_name(precision, get_args(Precision))}")
    gains = torch.cuda.is_bf16_supported() if device.startswith("cuda") else device == "cpu" and _has_amx()
    return "bf16" if gains else "32"


def resolved(options: EmbeddingOptions) -> EmbeddingOptions:
    """Name the device and the precision where "auto" leaves them open.

    Raises:
        ValueError: the device is not here, or the device or the precision is unknown.
    """
    device = choose_device(options.device)
    return replace(options, device=device, precision=choose_precision(options.precision, device))


def autocast(device: str, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which a precision that was chosen holds on a device."""
    half = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    return nullcontext() if half is None else torch.autocast(torch.device(device).type, half)


def _has_amx() -> bool:
    return bool(torch.cpu._is_amx_tile_supported())
