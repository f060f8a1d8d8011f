"""The encoder to mend, from a run folder or by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import unconfound
from unconfound.data import Dataset
from unconfound.encoders import Card, build_encoder, load_encoder, read_card
from unconfound.mending.mended_run import Origin


def origin_of_run(run: Path, *, config: dict[str, Any]) -> Origin:
    """Load the encoder of a run.

    Args:
        run: the folder.
        config: of the mended run.

    Raises:
        FileNotFoundError: the folder holds no encoder.
        ValueError: a file is damaged.
    """
    return Origin(name=str(run), encoder=load_encoder(run), card=read_card(run), config=config)


def origin_of_name(name: str, dataset: Dataset, *, pretrained: bool | Path, config: dict[str, Any]) -> Origin:
    """Build an encoder for the samples of a data set.

    Args:
        name, pretrained: as `build_encoder` takes them.
        dataset: whose samples it takes.
        config: of the mended run.

    Raises:
        FileNotFoundError: there is no such file of weights.
        ValueError: an unknown name, or one that does not fit the data; or weights of another network.
    """
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
    return Origin(name=name, encoder=encoder.eval(), card=card, config=config)
