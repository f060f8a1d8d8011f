"""Encoders on disk: `encoder.safetensors` holds the weights, `encoder.json` all else that is needed to use them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from unconfound.data import Schema
from unconfound.encoders.build import build_encoder
from unconfound.encoders.encoder import Encoder
from unconfound.files import atomic, write_text

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """What `encoder.json` says.

    Args:
        architecture: arguments of `build_encoder`.
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
    path = folder / "encoder.safetensors"
    with atomic(path) as temporary:
        try:
            save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, temporary)
        except SafetensorError as error:
            raise OSError(f"cannot write {path} ({error})") from error
    card = Card(encoder.architecture, schema, encoder.features, restore or {}, provenance or {})
    write_text(folder / "encoder.json", json.dumps({"format": FORMAT, **asdict(card)}, indent=2) + "\n")


def read_card(folder: Path | str) -> Card:
    """Read what a saved encoder is, without its weights.

    Raises:
        FileNotFoundError: the folder holds no encoder.
        ValueError: the description is damaged or of another format.
    """
    path = Path(folder) / "encoder.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no encoder.json: give the folder of a finished run, or go on with the run by --resume"
        )
    try:
        values = json.loads(path.read_text())
        if values["format"] != FORMAT:
            raise ValueError(f"{path} has format {values['format']}, this version of unconfound reads {FORMAT}")
        schema = values["schema"]
        return Card(
            architecture=values["architecture"],
            schema=Schema(
                schema["modality"],
                shape=tuple(schema["shape"]),
                classes=tuple(schema["classes"]),
                groups=tuple(schema["groups"]),
                columns=tuple(schema.get("columns", ())),
            ),
            features=values["features"],
            restore=values["restore"],
            provenance=values["provenance"],
        )
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}): train the encoder anew") from error


def load_encoder(folder: Path | str) -> Encoder:
    """Load the encoder of a run folder, in evaluation mode, on the CPU. Nothing is unpickled.

    Raises:
        FileNotFoundError: the folder holds no encoder.
        ValueError: a file is damaged.
    """
    card = read_card(folder)
    kept = ("name", "width", "depth", "pooling", "morpher", "attention", "projection")
    arguments = {key: value for key, value in card.architecture.items() if key in kept}
    encoder = build_encoder(schema=card.schema, **arguments)
    path = Path(folder) / "encoder.safetensors"
    try:
        encoder.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} is damaged or of another encoder ({first}): train the encoder anew") from error
    return encoder.eval()


def loading_snippet(folder: Path) -> str:
    """Return the lines of Python that load the encoder of a run folder and embed what the user has.

    For images and rows these are the arrays `inputs`, in three lines. Texts, series and graphs come from a file or
    folder `path`, in five lines, read as the run's own were: only its vocabulary, say, makes of words the numbers that
    the encoder knows. Where the run's graphs were those of PyTorch Geometric, new ones are a list of these, `graphs`.
    """
    card = read_card(folder)
    where = repr(str(folder))
    if card.schema.modality == "graphs" and "encoding" not in card.restore:
        return (
            "from unconfound import embed, load_encoder\n"
            "from unconfound.data.pyg import from_pyg\n"
            f"encoder = load_encoder({where})\n"
            f"embeddings = embed(encoder, from_pyg(graphs).train).features  # [graphs, {card.features}]"
        )
    if card.schema.modality in ("graphs", "text", "series"):
        return (
            "from unconfound import DataOptions, embed, load, load_encoder\n"
            "from unconfound.encoders import read_card\n"
            f"encoder = load_encoder({where})\n"
            f"new = load(DataOptions(data=path, test_share=0), restore=read_card({where}).restore)\n"
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
