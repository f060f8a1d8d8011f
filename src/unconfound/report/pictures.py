"""Samples as a reader sees them: images and series as pictures, graphs drawn, the first words or values of others."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from unconfound.data import Batch, Graphs, Schema, Sequences, Source
from unconfound.data.core.subset import Subset
from unconfound.data.tables.pixel_rows import PixelRows
from unconfound.evaluation.partitions import class_name
from unconfound.report.graph_drawings import draw_graph
from unconfound.report.series_drawings import HEAT_WIDTH, LINES, draw_lines, heat_map, series_length

SIDE = 96  # pixels: sharp at the size they are shown, small in the file
LOSSLESS = 48  # up to this side a PNG is as small as a JPEG, and has no artefacts
SHOWN_COLUMNS = 8
SNIPPET = 160
SHOWN_TOKENS = 24
NOTHING = "—"


@dataclass(frozen=True)
class Sample:
    """One sample to look at.

    Args:
        label: the name of its class, or "no label".
        name: its file or row, or its position in the data.
        picture: a data URI of an image or of a series of many channels.
        drawing: of a graph or of a series, as SVG.
        size: how large what is drawn is: "17 nodes, 19 edges", "57 steps".
        values: the first columns of a row of a table and their values, or "Text" and its first words.
    """

    label: str
    name: str
    picture: str = ""
    drawing: str = ""
    size: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def samples(source: Source, index: Int[Tensor, " chosen"], *, names: Sequence[str] = ()) -> list[Sample]:
    """Read some samples of a source, to look at. Rows of pixels are shown as the images that they are.

    Args:
        source: of any modality.
        index: which samples.
        names: of the features of a row; not used for others.
    """
    source = _pictured(source)
    batch = next(iter(source.batches([index])))
    shown = []
    for row, position in enumerate(index.tolist()):
        label = class_name(source, -1 if batch.labels is None else int(batch.labels[row]))
        name = str(source.names[position]) if source.names is not None else f"sample {position}"
        shown.append(Sample(label, name, **_look(source, batch, row, label=f"{label}, {name}", names=names)))
    return shown


def _pictured(source: Source) -> Source:
    """Return the images that rows of pixels were made of; other sources as they are."""
    if isinstance(source, Subset) and (images := _pictured(source.base)) is not source.base:
        return Subset(images, source.positions)
    return source.base if isinstance(source, PixelRows) else source


def _look(source: Source, batch: Batch, row: int, *, label: str, names: Sequence[str]) -> dict[str, Any]:
    """Return what shows a sample of the source's modality, as arguments of `Sample`."""
    inputs = batch.inputs
    if isinstance(inputs, Graphs):
        drawing, size = draw_graph(*_graph(inputs, row), label=label)
        return {"drawing": drawing, "size": size}
    if isinstance(inputs, Sequences):
        values = inputs.values[row, : int(inputs.lengths[row])]
        if source.schema.modality == "text":
            said = None if source.texts is None else source.texts[int(batch.index[row])]
            return {"values": {"Text": token_list(values) if said is None else snippet(said)}}
        series = values.numpy()
        size = series_length(series)
        if series.shape[1] <= LINES:
            return {"drawing": draw_lines(series, label=label), "size": size}
        return {"picture": data_uri(heat_map(series), side=HEAT_WIDTH), "size": size}
    if source.schema.modality == "images":
        return {"picture": data_uri(inputs[row])}
    return {"values": dict(islice(row_values(inputs[row], names).items(), SHOWN_COLUMNS))}


def _graph(graphs: Graphs, row: int) -> tuple[Float[np.ndarray, "nodes features"], Int[np.ndarray, "2 edges"]]:
    """Return the nodes of one of some graphs, and its edges between them."""
    start, size = int(graphs.sizes[:row].sum()), int(graphs.sizes[row])
    edges = graphs.edges[:, (graphs.edges[0] >= start) & (graphs.edges[0] < start + size)] - start
    return graphs.nodes[start : start + size].numpy(), edges.numpy()


def snippet(text: str, *, length: int = SNIPPET) -> str:
    """Return the first words of a text, with an ellipsis where it goes on: at most `length` characters in all."""
    # A lone half of a surrogate pair cannot be written to a file.
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    if len(words) <= length:
        return words
    head = words[: length - 1]
    whole = head if words[length - 1] == " " else head.rpartition(" ")[0]
    return f"{whole or head}…"


def token_list(tokens: Int[Tensor, " time"]) -> str:
    """Return the first numbers of a text whose words are not known."""
    shown = " ".join(str(token) for token in tokens[:SHOWN_TOKENS].tolist())
    return f"tokens {shown}{' …' if len(tokens) > SHOWN_TOKENS else ''}"


def first_of_classes(labels: Int[Tensor, " samples"] | None, samples: int, *, limit: int) -> Int[Tensor, " chosen"]:
    """Choose samples without looking at how they do: the first of each class, or evenly spaced without labels.

    Args:
        labels: -1 where a sample has none.
        samples: how many there are.
        limit: of more classes, evenly spaced ones are taken.
    """
    classes = torch.empty(0) if labels is None else labels[labels >= 0].unique()
    if labels is None or len(classes) == 0:
        return evenly_spaced(samples, limit)
    return torch.stack([(labels == label).nonzero()[0, 0] for label in classes[evenly_spaced(len(classes), limit)]])


def evenly_spaced(count: int, limit: int) -> Int[Tensor, " chosen"]:
    """Choose at most `limit` of `count` places, from the first to the last."""
    return torch.linspace(0, count - 1, min(count, limit)).round().long()


def data_uri(
    image: UInt8[Tensor, "channels height width"] | Float[Tensor, "channels height width"],
    *,
    side: int = SIDE,
) -> str:
    """Write an image into an address of its own.

    Args:
        image: uint8, or float in [0, 1]. Of two channels the first is shown, of more than three the first three.
        side: the longer side is at most this many pixels.
    """
    channels = image[:3] if len(image) >= 3 else image[:1]
    if channels.is_floating_point():
        channels = (channels.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = channels.permute(1, 2, 0).contiguous().cpu().numpy()
    picture = Image.fromarray(pixels.squeeze(2) if len(channels) == 1 else pixels)
    picture.thumbnail((side, side))
    written = io.BytesIO()
    if max(picture.size) <= LOSSLESS:
        picture.save(written, "PNG", optimize=True)
        kind = "png"
    else:
        picture.save(written, "JPEG", quality=85, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"


def rgb_pixels(
    image: UInt8[Tensor, "channels height width"] | Float[Tensor, "channels height width"], *, side: int = 64
) -> UInt8[Tensor, "height width 3"]:
    """Return an image as it is drawn: of two channels the first, of more than three the first three.

    Args:
        image: uint8, or float in [0, 1].
        side: the longer side is at most this many pixels.
    """
    values = image / 255.0 if image.dtype == torch.uint8 else image
    colours = values[:3] if len(values) >= 3 else values[:1].expand(3, -1, -1)
    if (longest := max(colours.shape[1:])) > side:
        sides = [max(1, round(length * side / longest)) for length in colours.shape[1:]]
        colours = interpolate(colours[None], sides, mode="bilinear", antialias=True)[0]
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)


def column_names(schema: Schema, restore: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the features of a row as its data set does, or by their position; empty for what is no row."""
    if schema.modality != "tables":
        return ()
    known, width = restore.get("columns"), schema.shape[0]
    if isinstance(known, list) and len(known) == width:
        return tuple(str(name) for name in known)
    return tuple(f"column {place + 1}" for place in range(width))


def row_values(row: Float[Tensor, " features"], names: Sequence[str]) -> dict[str, str]:
    """Write a row by its columns: the features "sex=Female", "sex=Male" and "sex missing" are the one column "sex"."""
    shown: dict[str, str] = {}
    for name, value in zip(names, row.tolist(), strict=True):
        column, equals, category = name.partition("=")
        flagged = name.removesuffix(" missing")
        if flagged in shown and flagged != name:
            shown[flagged] = "missing" if value > 0.5 else shown[flagged]
        elif equals:
            shown[column] = category if value > 0.5 else shown.get(column, NOTHING)
        else:
            shown[name] = f"{value:.3g}"
    return shown
