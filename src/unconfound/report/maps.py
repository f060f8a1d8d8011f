"""Embeddings on a plane, once coloured by class and once by scene or group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from markupsafe import Markup

from unconfound.data import Source
from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.partitions import attributes_of, class_name, group_names
from unconfound.report.entry import Entry
from unconfound.report.evaluated_sets import embeddings_of
from unconfound.report.map_plot import map_plot
from unconfound.report.plane import project

COLOURS = 10  # as many as the page has, and as an eye can tell apart


@dataclass(frozen=True)
class MapColouring:
    """One way to colour the samples of a map.

    Args:
        title: "class", "scene", "group", ...
        names: of the colours; at most `COLOURS`.
        rest: how many more names share grey.
        of: which colour a sample has; -1 for grey.
    """

    title: str
    names: tuple[str, ...]
    rest: int
    of: Int[np.ndarray, " samples"]


def colourings(source: Source, embeddings: Embeddings) -> list[MapColouring]:
    """Colour by class, and by scene or, where scenes are not known, by group.

    Groups that are named "class, attribute" ("3, other scene") are coloured by their attribute: the class is on the map
    beside it.
    """
    found = []
    if embeddings.labels is not None:
        names = [class_name(source, label) if label >= 0 else "" for label in embeddings.labels.tolist()]
        found.append(_colouring("class", names))
    if source.scenes is not None:
        scenes = [f"scene of {class_name(source, scene)}" for scene in source.scenes[embeddings.index].tolist()]
        found.append(_colouring("scene", scenes))
    elif embeddings.groups is not None:
        names = group_names(source, embeddings.groups)
        found.append(_colouring(*(attributes_of(names) or ("group", names))))
    return [colouring for colouring in found if colouring.names]


def maps(
    name: str, embeddings: Embeddings, colourings: Sequence[MapColouring], *, seed: int = 0
) -> tuple[list[tuple[str, Markup]], str]:
    """Draw the embeddings once for each colouring.

    Returns:
        Pairs of a caption and a drawing, and how the plane was found.
    """
    projection = project(embeddings.features, seed=seed)
    rows = projection.rows.numpy()
    drawn = []
    for colouring in colourings:
        colours = colouring.of[rows]
        members = [
            (colouring.names[colour] if colour >= 0 else "", int(colour), np.flatnonzero(colours == colour))
            for colour in np.unique(colours)
        ]
        label = f"Map of the embeddings of {name}, coloured by {colouring.title}"
        drawn.append(
            (
                f"By {colouring.title}",
                map_plot(projection.points, members, label=label, named=colouring.title == "class"),
            )
        )
    return drawn, f"{projection.method}, {len(rows)} of {len(embeddings)} samples"


def coloured_maps(
    entries: Sequence[Entry], source: Source, test: str
) -> tuple[list[MapColouring], list[tuple[str, list[tuple[str, Markup]], str]]]:
    """Draw the embeddings of each encoder that has some of a test set.

    Returns:
        The colourings, and of each encoder its name, its drawings and how the plane was found.
    """
    drawn, coloured = [], []
    for entry in entries:
        embeddings = embeddings_of(entry.embeddings, test)
        if embeddings is None or len(embeddings) < 2:
            continue
        coloured = colourings(source, embeddings)
        if coloured:
            drawn.append((entry.name, *maps(entry.name, embeddings, coloured)))
    return coloured, drawn


def _colouring(title: str, names: Sequence[str]) -> MapColouring:
    values, counts = np.unique([name for name in names if name], return_counts=True)
    # The most frequent ones get a colour; of equally frequent ones, the first by name.
    frequent = [str(values[i]) for i in np.argsort(-counts, kind="stable")[:COLOURS]]
    coloured = tuple(sorted(frequent))
    of = np.array([coloured.index(name) if name in coloured else -1 for name in names], dtype=np.int64)
    return MapColouring(title, coloured, len(values) - len(coloured), of)
