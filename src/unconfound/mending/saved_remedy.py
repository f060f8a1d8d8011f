"""A remedy on disk, for an encoder that unconfound cannot rebuild: an ONNX file, or a function of the user's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unconfound.documents import read_sealed, sealed
from unconfound.encoders import load_classifier, save_classifier
from unconfound.encoders.weights import load_weights, save_weights, unfit
from unconfound.files import write_text
from unconfound.functional.erasure import AffineMap
from unconfound.lock import alone_in
from unconfound.mending.remedies import Remedy
from unconfound.outputs import check_output_folder
from unconfound.records import record

CARD = "remedy.json"
MAP = "map.safetensors"
FORMAT = 1


@dataclass(frozen=True)
class RemedyCard:
    """What `remedy.json` says.

    Args:
        features: width of the embeddings that the remedy takes.
        classes: what each output of the classifier is of.
        mapped: whether there is a map of the embeddings.
        mended: what was done, and to which encoder.
    """

    features: int
    classes: tuple[str, ...]
    mapped: bool
    mended: dict[str, Any] = field(default_factory=dict)


def save_remedy(
    folder: Path, remedy: Remedy, *, classes: Sequence[str], how: dict[str, Any], overwrite: bool = False
) -> None:
    """Write the classifier and, if embeddings are changed, the map into a folder, and last the card.

    Args:
        folder: where to.
        remedy: what is written.
        classes: the names of the classifier's.
        how: what was done, and to which encoder.
        overwrite: replace an earlier remedy.

    Raises:
        ValueError: the folder holds something else, or another process is at work there.
    """

    def check() -> None:
        check_remedy_folder(folder, overwrite=overwrite)

    with alone_in(folder, check):
        for name in (CARD, MAP):
            (folder / name).unlink(missing_ok=True)
        save_classifier(folder, remedy.classifier)
        if remedy.change is not None:
            save_weights(folder / MAP, remedy.change._asdict())
        features = remedy.classifier.in_features if remedy.change is None else remedy.change.matrix.shape[1]
        card = {"features": features, "classes": list(classes), "mapped": remedy.change is not None, "mended": how}
        write_text(folder / CARD, json.dumps(sealed({"format": FORMAT, **card}), indent=2) + "\n")


def check_remedy_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something else than a remedy to be replaced.

    Raises:
        ValueError: it does.
    """
    check_output_folder(folder, kind="remedy", markers=(CARD,), resume=False, overwrite=overwrite)


def load_remedy(folder: Path | str) -> Remedy:
    """Load what `unconfound.mend` wrote for an encoder that it could not rebuild, to be applied to its embeddings.

    `load_remedy(folder).logits(encoder(images))` are the logits of the classes that `remedy.json` names;
    `load_remedy(folder).of(encoder(images))` are the mended embeddings. Nothing is unpickled.

    Raises:
        FileNotFoundError: the folder holds no remedy.
        ValueError: a file is damaged; in one line, with its name.
    """
    folder = Path(folder)
    path = folder / CARD
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {CARD}: give the folder that `mend` wrote, or load_encoder for a run"
        )
    try:
        card = record(RemedyCard, read_sealed(path, format=FORMAT, remedy="mend the encoder again"))
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"{path} is damaged ({error})") from error
    classifier = load_classifier(folder)
    if classifier is None:
        raise FileNotFoundError(f"{folder} holds no classifier beside its {CARD}: mend the encoder again")
    change = None
    if card.mapped:
        weights = load_weights(folder / MAP)
        if {name: value.dim() for name, value in weights.items()} != {"matrix": 2, "bias": 1}:
            raise ValueError(unfit(folder / MAP, "it holds no matrix and bias"))
        change = AffineMap(weights["matrix"], weights["bias"])
    kept, features = (classifier.in_features, card.features) if change is None else change.matrix.shape
    if (kept, features) != (classifier.in_features, card.features) or (change is not None and len(change.bias) != kept):
        raise ValueError(f"{folder} holds parts of several remedies: mend the encoder again")
    return Remedy(change, classifier)
