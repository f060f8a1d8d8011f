"""Weights from a file, under the names that timm and torchvision give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unconfound.encoders.unfit_weights import check_weights


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
    found = read_published_weights(path)
    own = network.state_dict()
    check_weights(found, own, source=path, left_out=classifier)
    network.load_state_dict({name: weight for name, weight in found.items() if name in own}, strict=False)


def read_published_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file that others wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no safetensors file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}: give a .safetensors file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no safetensors file ({error}): convert it with safetensors.torch.save_file"
        ) from None
