"""Groups of parameters with learning rates of their own, as torch's optimizers take them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


def parameter_groups(
    parameters: Iterable[nn.Parameter], *apart: tuple[Iterable[nn.Parameter], float | None]
) -> tuple[dict[str, Any], ...]:
    """Put parameters that are learnt into groups: those that are not set apart, then each part.

    Args:
        parameters: all of them; frozen ones are left out.
        apart: parts, each with its learning rate, or None for that of all. One without parameters makes no group.
    """
    parts = [(list(part), rate) for part, rate in apart]
    named = {id(each) for part, _ in parts for each in part}
    rest = [each for each in parameters if each.requires_grad and id(each) not in named]
    own = ({"params": part} | ({} if rate is None else {"lr": rate}) for part, rate in parts if part)
    return ({"params": rest}, *own)
