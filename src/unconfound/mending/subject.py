"""What is mended: the encoder of a run folder, of an .onnx file, of a name, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

import unconfound
from unconfound.data import Dataset
from unconfound.encoders import Card, Encoder, build_encoder, load_classifier, load_encoder, read_card
from unconfound.encoders.onnx_file import OnnxEncoder


@dataclass(frozen=True, kw_only=True)
class Origin:
    """An encoder that can be saved, and where it comes from.

    Args:
        encoder: as it was before.
        card: what a run folder says of it.
        config: what the config.toml of the mended run says: that of the run, with the data that it was mended on.
    """

    encoder: Encoder
    card: Card
    config: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is mended.

    Args:
        name: its run folder or file, or what the user called it.
        encoder: inputs -> embeddings.
        classifier: that was trained with it, if any.
        origin: the same encoder as what can be saved; None of functions and .onnx files.
    """

    name: str
    encoder: Callable[[Any], Any]
    classifier: nn.Linear | None = None
    origin: Origin | None = None


def subject_of(
    name: str,
    dataset: Dataset,
    *,
    function: Callable[[Any], Any] | None = None,
    pretrained: bool | Path = False,
    config: dict[str, Any],
) -> Subject:
    """Load or build the encoder that is to be mended.

    Args:
        name: a run folder, an .onnx file, the name of an encoder, or what a function is called.
        dataset: whose samples it takes.
        function: the encoder, where the name does not say which.
        pretrained: whether a named encoder gets its published weights, or the file of other ones.
        config: of the mended run.

    Raises:
        FileNotFoundError: a folder holds no encoder, or there is no such file of weights.
        ValueError: an unknown name, a damaged file, or an encoder that does not fit the data.
    """
    if function is not None:
        return Subject(name, function)
    if name.endswith(".onnx"):
        return Subject(name, OnnxEncoder(Path(name), dataset.train.schema))
    run = Path(name)
    if run.is_dir():
        origin = Origin(encoder=load_encoder(run), card=read_card(run), config=config)
        return Subject(name, origin.encoder, load_classifier(run), origin)
    origin = _built(name, dataset, pretrained=pretrained, config=config)
    return Subject(name, origin.encoder, None, origin)


def _built(name: str, dataset: Dataset, *, pretrained: bool | Path, config: dict[str, Any]) -> Origin:
    """Build an encoder by its name for the samples of a data set."""
    source = dataset.train
    mean, deviation = source.statistics()
    encoder = build_encoder(name, source.schema, mean=mean, deviation=deviation, pretrained=pretrained)
    provenance = {
        "unconfound": unconfound.__version__,
        "method": "random",
        "trained": False,
        "labels": False,
        "groups": False,
        "weights": sum(parameter.numel() for parameter in encoder.parameters()),
        "pretrained": pretrained if isinstance(pretrained, bool) else str(pretrained),
        "data": {"name": source.name, "samples": len(source)},
    }
    card = Card(encoder.architecture, source.schema, encoder.features, dict(dataset.restore), provenance)
    return Origin(encoder=encoder.eval(), card=card, config=config)
