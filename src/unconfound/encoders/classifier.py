"""The linear classifier that was trained with an encoder, on disk beside it: `classifier.safetensors`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from unconfound.documents import one_line
from unconfound.encoders.weights import load_weights, save_weights

FILE = "classifier.safetensors"


def save_classifier(folder: Path, classifier: nn.Linear) -> None:
    """Write a classifier into the folder of its encoder.

    Raises:
        OSError: the file cannot be written, on a full disk for example.
    """
    save_weights(folder / FILE, classifier.state_dict())


def load_classifier(folder: Path | str) -> nn.Linear | None:
    """Load the classifier of a run folder, [classes, features] and on the CPU; None where the run trained none.

    Its classes are those of the run's schema (`read_card`), in their order. Nothing is unpickled.

    Raises:
        ValueError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    weights = load_weights(path)
    try:
        classes, features = weights["weight"].shape
        # No first weights are drawn; `skip_init` would do the same, and import half of torch's compiler for it.
        classifier = nn.Linear(features, classes, bias="bias" in weights, device="meta")
        classifier.load_state_dict({name: value.clone() for name, value in weights.items()}, assign=True)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} holds no linear classifier ({one_line(error)}): train the encoder anew") from error
    classifier.eval()
    return classifier
