"""Embeddings in a file for other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from unconfound.data import Source
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.predictions import classifier_predictions
from unconfound.files import atomic


def save_embeddings(
    path: Path,
    embedded: Mapping[str, Embeddings],
    sources: Mapping[str, Source],
    *,
    classifier: nn.Linear | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Write embeddings atomically.

    Args:
        path: .npy holds a float32 array [samples, features]; .parquet a table with the columns split, index, name,
            label and group (where there are any), prediction and confidence (with a classifier), and embedding_0,
            embedding_1, ...
        embedded: by split; written in this order.
        sources: what was embedded, for the names of classes and groups.
        classifier: that of the encoder, or None.
        classes: the names of the classifier's classes.

    Raises:
        ValueError: the classifier takes another number of features.
    """
    features = np.concatenate([part.features.numpy() for part in embedded.values()])
    with atomic(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, features)
            return
        columns: dict[str, Any] = {
            "split": [split for split, part in embedded.items() for _ in range(len(part))],
            "index": np.concatenate([part.index.numpy() for part in embedded.values()]),
        }
        if all(part.names is not None for part in embedded.values()):
            columns["name"] = [name for part in embedded.values() for name in part.names or ()]
        for column, names in (("label", "classes"), ("group", "groups")):
            values = [
                _named(getattr(part, f"{column}s"), getattr(sources[split].schema, names), len(part))
                for split, part in embedded.items()
            ]
            if any(value is not None for part in values for value in part):
                columns[column] = [value for part in values for value in part]
        if classifier is not None:
            predicted = [classifier_predictions(classifier, part) for part in embedded.values()]
            columns["prediction"] = [classes[index] for part in predicted for index in part.classes.tolist()]
            columns["confidence"] = torch.cat(
                [part.confidence for part in predicted if part.confidence is not None]
            ).numpy()
        columns |= {f"embedding_{column}": features[:, column] for column in range(features.shape[1])}
        pd.DataFrame(columns).to_parquet(temporary, index=False)


def _named(codes: Any, names: tuple[str, ...], samples: int) -> list[str | None]:
    if codes is None:
        return [None] * samples
    return [names[code] if 0 <= code < len(names) else None for code in codes.tolist()]
