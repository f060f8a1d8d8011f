"""An encoder that starts from trained weights: those of a run, of a file or of a published model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from unconfound.data import Schema
from unconfound.encoders.build import build_encoder
from unconfound.encoders.encoder import Encoder, find_wrapper
from unconfound.encoders.normalized import Normalized
from unconfound.encoders.published_weights import read_published_weights
from unconfound.encoders.saved import Architecture, Card, load_encoder, rebuild
from unconfound.encoders.start import Start, check_options, find_start
from unconfound.encoders.started import Started
from unconfound.encoders.timm_models import set_image_size
from unconfound.encoders.unfit_weights import check_weights
from unconfound.encoders.weights import digest, load_weights
from unconfound.options.encoders import EncoderOptions
from unconfound.records import record


def start_encoder(
    start: Start | Path | str,
    schema: Schema,
    *,
    options: EncoderOptions | None = None,
    mean: Float[Tensor, " channels"] | None = None,
    deviation: Float[Tensor, " channels"] | None = None,
) -> Encoder:
    """Make an encoder that starts from trained weights.

    All of a run's encoder comes along: network, normalisation, and what was put around it. Images may be of another
    size where the network takes them: timm interpolates the embeddings of a vision transformer's positions.

    Args:
        start: what `find_start` finds, or what the user names.
        schema: of the samples that the encoder is to take.
        options: the network that published weights in a file are of; what contradicts a run is refused.
        mean, deviation: of the training data, for weights whose own are not known.

    Returns:
        The encoder in training mode; its `started` says what it began with.

    Raises:
        FileNotFoundError: there is nothing to start from.
        ValueError: samples of another kind, options that contradict, or a file that is damaged or of another network.
    """
    start = start if isinstance(start, Start) else find_start(str(start))
    options = options or EncoderOptions()
    check_options(start, options)
    if start.card is not None:
        assert start.file is not None
        encoder, sha256 = _of_run(start.file.parent, start.card, schema, source=start.source)
        restore, origin = start.card.restore, _origin(start.card)
    else:
        encoder, sha256 = _published(start, schema, options, mean=mean, deviation=deviation)
        restore, origin = {}, {}
    # A method puts wrappers of its own around it.
    architecture = deepcopy(encoder.architecture)
    encoder.started = Started(
        source=start.source, sha256=sha256, architecture=architecture, restore=restore, origin=origin
    )
    return encoder.train()


def begin_again(started: Started, schema: Schema) -> Encoder:
    """Make the encoder of a run that goes on, whose checkpoint has the weights.

    Raises:
        ValueError: the samples are of another shape than when the run began.
    """
    architecture = record(Architecture, started.architecture)
    if (architecture.modality, architecture.shape) != (schema.modality, schema.shape):
        raise ValueError(
            f"the run began with {architecture.modality} of shape {architecture.shape}, these are {schema.modality} of "
            f"shape {schema.shape}: resume with the same data"
        )
    encoder = rebuild(architecture, schema)
    encoder.started = started
    return encoder


def check_kind(card: Card, schema: Schema, *, source: str, what: str) -> None:
    """Refuse samples of another kind than the encoder of a run takes.

    Raises:
        ValueError: another modality, or number of channels, columns, features or words.
    """
    own = card.schema
    if (schema.modality, schema.shape[0]) != (own.modality, own.shape[0]):
        raise ValueError(
            f"{what} holds {schema.modality} of shape {schema.shape}, the encoder of {source} takes {own.modality} of "
            f"shape {own.shape}: start from a run on such data"
        )


def _of_run(run: Path, card: Card, schema: Schema, *, source: str) -> tuple[Encoder, str]:
    check_kind(card, schema, source=source, what="the training data")
    encoder = load_encoder(run)
    checksum = digest(encoder.state_dict())
    if schema.shape == card.schema.shape:
        return encoder, checksum
    sizes = [" x ".join(map(str, shape[1:])) for shape in (schema.shape, card.schema.shape)]
    if others := [each["kind"] for each in encoder.architecture.get("wrappers", ()) if each["kind"] != "Projected"]:
        raise ValueError(
            f"{others[0]}, a part of {source}, is made for images of {sizes[1]} pixels, not of {sizes[0]}: give images "
            "of that size (--image-size)"
        )
    inner = find_wrapper(encoder, Normalized)
    assert inner is not None
    try:
        set_image_size(inner.network, schema.shape[1:])  # type: ignore[arg-type]
        architecture = replace(record(Architecture, card.architecture), shape=schema.shape)
        resized = rebuild(architecture, schema)
        check_weights(encoder.state_dict(), resized.state_dict(), source=source)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ValueError(
            f"{source} is an encoder of images of {sizes[1]} pixels and cannot take {sizes[0]} ({error}): give "
            "--image-size as there"
        ) from error
    resized.load_state_dict(encoder.state_dict())
    return resized, checksum


def _origin(card: Card) -> dict[str, Any]:
    """Return what a run's card says of how its encoder was trained, and of what that one started from."""
    told = card.provenance
    known = {"method": told.get("method"), "data": told.get("data", {}).get("name")}
    known |= {name: told.get(name) for name in ("labels", "groups", "mended", "start")}
    return {name: value for name, value in known.items() if value}


def _published(
    start: Start, schema: Schema, options: EncoderOptions, *, mean: Tensor | None, deviation: Tensor | None
) -> tuple[Encoder, str]:
    """Build the network that weights were published for; or ours, where a file holds weights of ours alone."""
    ours = start.file is not None and not start.model and _is_ours(start.file)
    encoder = build_encoder(
        start.model or options.encoder,
        schema,
        mean=mean,
        deviation=deviation,
        pretrained=False if ours else start.file or True,
        width=options.width,
        depth=options.depth,
        pooling=options.pooling,
    )
    if start.file is None:
        return encoder, digest(encoder.state_dict())
    if ours:
        weights = load_weights(start.file)
        check_weights(weights, encoder.state_dict(), source=start.source)
        encoder.load_state_dict(weights)
        return encoder, digest(weights)
    normalized = find_wrapper(encoder, Normalized)
    assert normalized is not None
    for name, values in start.scale.items():
        own = getattr(normalized, name)
        if len(own) == len(values):
            own.copy_(torch.tensor(values))
    return encoder, digest(read_published_weights(start.file))


def _is_ours(file: Path) -> bool:
    """Say whether a file holds the weights of an encoder of ours; a damaged one does not."""
    try:
        with safe_open(file, "pt") as opened:
            return all(name.startswith("network.") for name in opened.keys())  # noqa: SIM118
    except (SafetensorError, OSError):
        return False
