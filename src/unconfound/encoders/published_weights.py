"""Weights from a file, under the names that timm and torchvision give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unconfound.encoders.unfit_weights import check_weights


def take_published_weights(
    network: nn.Module, found: Mapping[str, Tensor], *, source: Path, classifier: Sequence[str]
) -> None:
    """Copy published weights into a network that has no classifier.

    Args:
        network: as its library makes it, with the names of weights that it gives them.
        found: the weights.
        source: their file, for errors.
        classifier: layers that there may be weights of and that the network does not have.

    Raises:
        ValueError: they are the weights of another network.
    """
    own = network.state_dict()
    check_weights(found, own, source=source, left_out=classifier)
    network.load_state_dict({name: weight for name, weight in found.items() if name in own}, strict=False)


def read_published_weights(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file, as published beside most networks. A pickle is refused: it may run code.

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
