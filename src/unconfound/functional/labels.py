"""The one door for whole numbers that name things: labels, groups, environments, positions.

Torch's own functions take some widths of integers and not others, and index by uint8 as by a mask. Here all come in,
and int64 goes on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from unconfound.functional.inputs import check_floating

Array = Tensor | NDArray[Any]


def whole_numbers(name: str, values: Array) -> Int64[Tensor, "..."]:
    """Return integers of any width as int64.

    Args:
        name: how the error calls them.
        values: a tensor, or an array of numpy.

    Raises:
        TypeError: they are neither, or hold anything but integers.
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "iu":
            raise TypeError(f"{name} must be integers, got {values.dtype}: convert with .astype(int)")
        return torch.from_numpy(values.astype(np.int64))
    if not isinstance(values, Tensor):
        raise TypeError(
            f"{name} must be a tensor of integers, got {type(values).__name__}: convert with torch.as_tensor"
        )
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {values.dtype}: convert with .long()")
    return values.long()


def check_labels(labels: Array, *, rows: int, count: int | None = None, name: str = "labels") -> Int64[Tensor, " rows"]:
    """Return the label of each row as int64.

    Args:
        labels: integers of any width.
        rows: how many there must be.
        count: of the classes; None where any number from 0 on is a class.
        name: how the error calls them.

    Raises:
        TypeError: they are no integers.
        ValueError: there is not one a row, or (found on the CPU alone) one is out of range.
    """
    labels = whole_numbers(name, labels)
    if labels.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one a row, got {tuple(labels.shape)}")
    # Elsewhere the device's own check does it: reading the values here would wait for them.
    if rows and labels.device.type == "cpu":
        lowest, highest = (int(each) for each in labels.aminmax())
        if lowest < 0:
            raise ValueError(f"{name} must be 0 or above, got {lowest}: leave out the rows without {name}")
        if count is not None and highest >= count:
            raise ValueError(f"{name} must be 0 to {count - 1}, got {highest}")
    return labels


def check_classes(logits: Tensor, labels: Tensor) -> Int64[Tensor, " batch"]:
    """Refuse anything but a floating-point logit of each class and one class index a row.

    Args:
        logits: [batch, classes].
        labels: [batch], from 0 to classes - 1.

    Returns:
        The labels as int64.

    Raises:
        TypeError: logits are not floating-point, or labels not integers.
        ValueError: shapes do not fit, there are no rows or no classes, or (found on the CPU alone) a label is out
            of range.
    """
    check_floating("logits", logits)
    labels = whole_numbers("labels", labels)
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            "logits must be [batch, classes] and labels [batch], "
            f"got shapes {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    if logits.numel() == 0:
        raise ValueError(f"logits must hold at least one row and 1 class, got shape {tuple(logits.shape)}")
    return check_labels(labels, rows=len(logits), count=logits.shape[1])
