"""Parts of embeddings become one file: an array, or a table with one column of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from unconfound.data import Source
from unconfound.evaluation.embedding_parts import Part
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.predictions import classifier_predictions

# The column of vectors, and what Parquet calls their numbers.
VECTORS, NUMBERS = "embedding", "embedding.list.element"


@dataclass(frozen=True)
class NamedClassifier:
    """The classifier of a run.

    Args:
        linear: from embeddings to logits.
        classes: the names of its classes.
    """

    linear: nn.Linear
    classes: tuple[str, ...]

    def fingerprint(self) -> str:
        """Return a SHA-256 of the weights and the names."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for name, values in self.linear.state_dict().items():
            digest.update(name.encode() + values.contiguous().numpy().tobytes())
        return digest.hexdigest()


def write_array(
    path: Path, parts: Iterable[Float32[np.ndarray, "rows features"]], *, samples: int, features: int
) -> None:
    """Write an .npy file, as `numpy.save` writes all rows at once.

    Args:
        path: of the file.
        parts: of the rows, in their order.
        samples: in all parts together.
        features: width of an embedding.
    """
    with path.open("wb") as file:
        head = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**head, "shape": (samples, features)})
        for rows in parts:
            np.ascontiguousarray(rows).tofile(file)


def write_table(
    path: Path,
    parts: Iterable[tuple[Part, Float32[np.ndarray, "rows features"]]],
    sources: Mapping[str, Source],
    *,
    features: int,
    classifier: NamedClassifier | None = None,
) -> None:
    """Write a Parquet file, with a row group for each part.

    Its columns are split, index, name, label and group (where there are any), prediction and confidence (with a
    classifier), and embedding: Arrow's list of fixed size of float32.

    Args:
        path: of the file.
        parts: each with its rows, in their order.
        sources: what was embedded, by split.
        features: width of an embedding.
        classifier: that of the encoder, or None.

    Raises:
        ValueError: the classifier takes another number of features.
    """
    kinds: dict[str, pa.DataType] = {"split": pa.string(), "index": pa.int64()}
    if all(source.names is not None for source in sources.values()):
        kinds["name"] = pa.string()
    if any(_some(source.labels, source.schema.classes) for source in sources.values()):
        kinds["label"] = pa.string()
    if any(_some(source.groups, source.schema.groups) for source in sources.values()):
        kinds["group"] = pa.string()
    if classifier is not None:
        kinds |= {"prediction": pa.string(), "confidence": pa.float32()}
    kinds[VECTORS] = pa.list_(pa.float32(), features)
    # Neither a dictionary nor compression makes vectors smaller, and both take longer than to write them.
    words = [name for name, kind in kinds.items() if kind == pa.string()]
    others = [name for name in kinds if name != VECTORS]
    with pq.ParquetWriter(
        path,
        pa.schema(kinds),
        use_dictionary=words,
        write_statistics=others,
        compression={**dict.fromkeys(others, "snappy"), NUMBERS: "none"},
    ) as writer:
        for part, rows in parts:
            columns = _columns(part, rows, sources[part.split], classifier)
            table = pa.table([columns[name] for name in kinds], schema=pa.schema(kinds))
            writer.write_table(table, row_group_size=len(part))


def _columns(part: Part, rows: np.ndarray, source: Source, classifier: NamedClassifier | None) -> dict[str, Any]:
    """Return all columns of a part that may be asked for."""
    index = range(part.first, part.stop)
    schema = source.schema
    columns: dict[str, Any] = {
        "split": pa.array([part.split] * len(part), pa.string()),
        "index": pa.array(np.arange(part.first, part.stop)),
        "name": None if source.names is None else pa.array([source.names[each] for each in index], pa.string()),
        "label": pa.array(_named(source.labels, schema.classes, part), pa.string()),
        "group": pa.array(_named(source.groups, schema.groups, part), pa.string()),
        VECTORS: pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1]),
    }
    if classifier is not None:
        embeddings = Embeddings(features=torch.from_numpy(rows), index=torch.arange(part.first, part.stop))
        predicted = classifier_predictions(classifier.linear, embeddings)
        assert predicted.confidence is not None
        columns["prediction"] = pa.array([classifier.classes[each] for each in predicted.classes.tolist()], pa.string())
        columns["confidence"] = pa.array(predicted.confidence.float().numpy())
    return columns


def _some(codes: Int[Tensor, " samples"] | None, names: tuple[str, ...]) -> bool:
    """Return whether any sample has a name for its label or group."""
    return codes is not None and bool(((codes >= 0) & (codes < len(names))).any())


def _named(codes: Int[Tensor, " samples"] | None, names: tuple[str, ...], part: Part) -> list[str | None]:
    if codes is None:
        return [None] * len(part)
    return [names[code] if 0 <= code < len(names) else None for code in codes[part.first : part.stop].tolist()]
