"""Buffers with a row for each training sample: how many there are, no constructor knows."""

from __future__ import annotations

from typing import Any

from torch import nn


def size_as_saved(module: nn.Module, name: str) -> None:
    """Let a buffer take the size of the one that is loaded in its place."""

    def make_room(owner: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        saved, own = state.get(f"{prefix}{name}"), getattr(owner, name)
        if saved is not None and saved.shape != own.shape:
            setattr(owner, name, own.new_zeros(saved.shape))

    module.register_load_state_dict_pre_hook(make_room)
