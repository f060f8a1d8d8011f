"""Encoders on disk: `encoder.safetensors` holds the weights, `encoder.json` all else that is needed to use them.

Each of the two holds a checksum of its own content, which is compared when it is read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.data.core.features_alone import features_alone
from unconfound.data.core.source import Modality
from unconfound.documents import one_line, read_sealed, sealed
from unconfound.encoders.build import OWN_ENCODERS, build_encoder
from unconfound.encoders.encoder import Encoder
from unconfound.encoders.gated import Gated
from unconfound.encoders.morphed import Morphed
from unconfound.encoders.projected import Projected
from unconfound.encoders.weights import load_weights, save_weights, unfit
from unconfound.files import write_text
from unconfound.options.encoders import Pooling
from unconfound.records import record

FORMAT = 2
# Of a sample's shape, by modality: see `Schema`.
DIMENSIONS = {"images": 3, "tables": 1, "graphs": 1, "text": 1, "series": 1}
WRAPPERS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (Morphed, Gated, Projected)}


@dataclass(frozen=True, kw_only=True)
class Wrapping:
    """What was put around the network, and the options with which it was made."""

    kind: Literal["Morphed", "Gated", "Projected"]
    options: dict[str, int | float | bool]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How an encoder is made anew, as `encoder.json` has it.

    Args:
        name, width, depth, pooling: arguments of `build_encoder`.
        shape, modality: those of the schema.
        wrappers: of the network, the innermost first.
    """

    name: str
    shape: tuple[int, ...]
    modality: Modality
    width: int | None = None
    depth: int | None = None
    pooling: Pooling | None = None
    wrappers: tuple[Wrapping, ...] = ()


@dataclass(frozen=True)
class Card:
    """What `encoder.json` says.

    Args:
        architecture: `Architecture`, as it stands there.
        schema: of the data that the encoder was trained on.
        restore: how new data of the same kind are read (`Dataset.restore`).
        features: width of the embedding.
        provenance: method, options, data, epochs, versions: where the weights come from.
    """

    architecture: dict[str, Any]
    schema: Schema
    features: int
    restore: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def save_encoder(
    folder: Path,
    encoder: Encoder,
    *,
    schema: Schema,
    restore: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Write an encoder's two files into a folder, the description last.

    Raises:
        OSError: a file cannot be written, on a full disk for example.
    """
    save_weights(folder / "encoder.safetensors", encoder.state_dict())
    card = Card(encoder.architecture, schema, encoder.features, restore or {}, provenance or {})
    write_text(folder / "encoder.json", json.dumps(sealed({"format": FORMAT, **asdict(card)}), indent=2) + "\n")


def read_card(folder: Path | str) -> Card:
    """Read what a saved encoder is, without its weights.

    Raises:
        FileNotFoundError: the folder holds no encoder.
        ValueError: the description is damaged, altered or of another format.
    """
    path = Path(folder) / "encoder.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no encoder.json: give the folder of a finished run, or go on with the run by --resume"
        )
    remedy = "train the encoder anew"
    values = read_sealed(path, format=FORMAT, remedy=remedy)
    try:
        card = record(Card, values)
        _check(card, record(Architecture, card.architecture, where="architecture"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {remedy}") from error
    return card


def own_reading(folder: Path | str) -> dict[str, Any]:
    """Return how the data of a run are read again: where its encoder started from another run, with those features.

    Raises:
        FileNotFoundError, ValueError: as `read_card`.
    """
    card = read_card(folder)
    return features_alone(card.restore) if "start" in card.provenance else {}


def load_encoder(folder: Path | str) -> Encoder:
    """Load the encoder of a run folder, in evaluation mode, on the CPU. Nothing is unpickled.

    Raises:
        FileNotFoundError: the folder holds no encoder.
        ValueError: a file is damaged.
    """
    card = read_card(folder)
    path = Path(folder) / "encoder.safetensors"
    weights = load_weights(path)
    architecture = record(Architecture, card.architecture)
    try:
        if architecture.name in OWN_ENCODERS[architecture.modality]:
            _check_sizes(architecture, card, weights)
        encoder = rebuild(architecture, card.schema)
        encoder.load_state_dict(weights)
        if encoder.features != card.features:
            raise ValueError(f"its embeddings have {encoder.features} features, not {card.features}")
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(unfit(path, f"{one_line(error)}, by encoder.json")) from error
    return encoder.eval()


def _check(card: Card, architecture: Architecture) -> None:
    schema = card.schema
    if len(schema.shape) != DIMENSIONS[schema.modality]:
        raise ValueError(
            f"schema.shape is {list(schema.shape)}, {schema.modality} have {DIMENSIONS[schema.modality]} sizes"
        )
    if min(*schema.shape, card.features) < 1:
        raise ValueError(f"schema.shape {list(schema.shape)} and features {card.features} must be at least 1")
    if (architecture.shape, architecture.modality) != (schema.shape, schema.modality):
        raise ValueError(
            f"architecture is of {architecture.modality} of shape {list(architecture.shape)}, schema of "
            f"{schema.modality} of shape {list(schema.shape)}"
        )


def _check_sizes(architecture: Architecture, card: Card, weights: dict[str, Tensor]) -> None:
    """Refuse sizes that are not those of the weights before any memory is taken for them."""
    if (architecture.depth or 0) > len(weights):
        raise ValueError(f"depth {architecture.depth} needs more than {len(weights)} weights")
    with torch.device("meta"):
        expected = {name: value.shape for name, value in rebuild(architecture, card.schema).state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    for name in expected | found:
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name} is {_size(found.get(name))}, {_size(expected.get(name))} is needed")


def _size(shape: torch.Size | None) -> str:
    return "nothing" if shape is None else str(list(shape))


def rebuild(architecture: Architecture, schema: Schema) -> Encoder:
    """Make an encoder anew, with first weights at random."""
    encoder = build_encoder(
        architecture.name,
        schema,
        width=architecture.width,
        depth=architecture.depth,
        pooling=architecture.pooling,
    )
    for wrapping in architecture.wrappers:
        encoder.wrap(WRAPPERS[wrapping.kind], **wrapping.options)
    return encoder


def loading_snippet(folder: Path) -> str:
    """Return the lines of Python that load the encoder of a run folder and embed what the user has.

    For images and rows these are the arrays `inputs`, in three lines. Texts, series and graphs come from a file or
    folder `path`, in six lines, read as the run's own were: only its vocabulary, say, makes of words the numbers that
    the encoder knows. Where the run's graphs were those of PyTorch Geometric, new ones are a list of these, `graphs`.
    """
    card = read_card(folder)
    where = repr(str(folder))
    if card.schema.modality == "graphs" and "encoding" not in card.restore:
        return (
            "from unconfound import load_encoder\n"
            "from unconfound.data.graphs.pyg import from_pyg\n"
            "from unconfound.evaluation import embed\n"
            f"encoder = load_encoder({where})\n"
            f"embeddings = embed(encoder, from_pyg(graphs).train).features  # [graphs, {card.features}]"
        )
    if card.schema.modality in ("graphs", "text", "series"):
        return (
            "from unconfound import load, load_encoder\n"
            "from unconfound.encoders import read_card\n"
            "from unconfound.evaluation import embed\n"
            f"encoder = load_encoder({where})\n"
            f"new = load(path, test_share=0, restore=read_card({where}).restore)\n"
            f"embeddings = embed(encoder, new.train).features  # [samples, {card.features}]"
        )
    shape = ", ".join(str(size) for size in card.schema.shape)
    if card.schema.modality == "images":
        what = "uint8, or float in [0, 1], "
    elif card.restore.get("kind") == "pixel-rows":
        what = "pixels of an image by channel, row and column, uint8, or float in [0, 1], "
    else:
        what = "float, columns as `embed` encodes them, "
    return (
        "from unconfound import load_encoder\n"
        f"encoder = load_encoder({where})\n"
        f"embeddings = encoder(inputs)  # {what}[batch, {shape}] -> [batch, {card.features}]"
    )
