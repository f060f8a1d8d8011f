"""Derivatives in forward mode, without what torch warns of on its own account."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch.autograd import forward_ad


@cache
def prepare_forward_mode() -> None:
    """Have torch load what forward mode needs: it scripts functions of its own and warns that scripting is deprecated.

    That concerns no one who does not script, and would come once a process. What others script warns as ever.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is ", category=FutureWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
