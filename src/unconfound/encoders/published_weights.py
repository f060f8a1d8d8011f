"""Weights from a file, under the names that timm and torchvision give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn


def load_published_weights(network: nn.Module, path: Path, *, classifier: Sequence[str]) -> None:
    """Copy the weights of a safetensors file into a network that has no classifier.

    Args:
        network: as its library makes it, with the names of weights that it gives them.
        path: a .safetensors file, as published beside most networks. A pickle is refused: it may run code.
        classifier: layers that the file may hold and the network does not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no safetensors file, or holds the weights of another network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}: give a .safetensors file")
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no safetensors file ({error}): convert it with safetensors.torch.save_file"
        ) from None
    own = network.state_dict()
    # How many batches a BatchNorm has seen is of no use, and old files lack it.
    missing = [name for name in own if name not in found and not name.endswith("num_batches_tracked")]
    other = [name for name in found if name not in own and name.rsplit(".", 1)[0] not in classifier]
    reshaped = [name for name in own if name in found and found[name].shape != own[name].shape]
    for names, told in ((missing, "lacks"), (other, "holds, as the network does not,")):
        if names:
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            raise ValueError(f"{path} {told} {names[0]}{more}: give the weights of this network")
    if reshaped:
        name = reshaped[0]
        raise ValueError(
            f"{name} has the shape {tuple(found[name].shape)} in {path} and {tuple(own[name].shape)} here: give the "
            "weights of this network, and images of the number of channels and a size that it was made for"
        )
    network.load_state_dict({name: weight for name, weight in found.items() if name in own}, strict=False)
