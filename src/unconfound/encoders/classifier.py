"""The linear classifier that was trained with an encoder, on disk beside it: `classifier.safetensors`."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from unconfound.files import atomic

FILE = "classifier.safetensors"


def save_classifier(folder: Path, classifier: nn.Linear) -> None:
    """Write a classifier into the folder of its encoder.

    Raises:
        OSError: the file cannot be written, on a full disk for example.
    """
    with atomic(folder / FILE) as temporary:
        try:
            save_file({name: value.contiguous() for name, value in classifier.state_dict().items()}, temporary)
        except SafetensorError as error:
            raise OSError(f"cannot write {folder / FILE} ({error})") from error


def load_classifier(folder: Path | str) -> nn.Linear | None:
    """Load the classifier of a run folder, [classes, features] and on the CPU; None where the run trained none.

    Its classes are those of the run's schema (`read_card`), in their order. Nothing is unpickled.

    Raises:
        ValueError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        weights = load_file(path)
        classes, features = weights["weight"].shape
        classifier: nn.Linear = nn.utils.skip_init(nn.Linear, features, classes, bias="bias" in weights)
        classifier.load_state_dict(weights)
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} is damaged or holds no linear classifier ({first}): train the encoder anew"
        ) from error
    classifier.eval()
    return classifier
