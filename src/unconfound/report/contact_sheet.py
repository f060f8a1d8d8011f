"""A sheet of queries and what a search found for them, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.images.decoding import UnreadableImageError, decode_image, image_shape, large_images_allowed
from unconfound.evaluation.partitions import UNLABELLED
from unconfound.files import write_text
from unconfound.report.neighbour_pictures import Neighbour, Query
from unconfound.report.pictures import SIDE, Sample, column_names, data_uri, samples
from unconfound.report.render import render
from unconfound.retrieval import Hits, Index
from unconfound.retrieval.data_splits import Split, read_splits
from unconfound.retrieval.item_names import shown_name
from unconfound.retrieval.scores import scores_line, search_scores

# More would make a page of many megabytes, which nobody reads to its end.
QUERIES = 50
NEIGHBOURS = 20


@dataclass(frozen=True)
class FoundNeighbour(Neighbour):
    """A neighbour with its distance, between embeddings of length 1."""

    distance: float


def write_contact_sheet(path: Path, answers: Hits, *, command: str) -> Path:
    """Write one self-contained HTML page of queries, their neighbours, and which of these are hits.

    Pictures of items are read where the items were when they were indexed. Of items that are there no longer the page
    has the names.

    Args:
        path: the file, by custom `neighbours.html`. It is there whole or not at all.
        answers: of a search. The first 50 queries and 20 neighbours of each are shown.
        command: what a reader types to get this page again.

    Returns:
        `path`.
    """
    shown = answers.positions[:QUERIES, :NEIGHBOURS]
    looks = _looks(answers.index, sorted({int(position) for position in shown.ravel() if position >= 0}))
    hits = answers.hits()
    queries = [
        Query(
            query,
            tuple(
                FoundNeighbour(
                    looks[int(position)],
                    None if hits[row, rank] < 0 else bool(hits[row, rank]),
                    float(answers.similarities[row, rank]),
                    float(answers.distances[row, rank]),
                )
                for rank, position in enumerate(shown[row])
                if position >= 0
            ),
        )
        for row, query in enumerate(_query_samples(answers))
    ]
    missing = sum(not (look.picture or look.drawing or look.values) for look in looks.values())
    scores = search_scores(answers)
    page = render(
        "contact_sheet.html",
        queries=queries,
        answers=answers,
        index=answers.index,
        scores=scores_line(scores) if scores else None,
        classes=bool((answers.hits() >= 0).any()),
        columns=next((list(look.values)[:4] for look in looks.values() if look.values), []),
        texts=answers.index.card.schema.modality == "text",
        missing=missing,
        fewer_neighbours=answers.positions.shape[1] > NEIGHBOURS,
        command=command,
    )
    write_text(path, page)
    return path


def _query_samples(answers: Hits) -> list[Sample]:
    """Return the queries that are shown; of embeddings there is nothing to see but their names."""
    columns = column_names(answers.index.card.schema, answers.index.card.restore)
    seen: list[Sample] = []
    for asked in answers.asked:
        wanted = asked.positions[: max(0, QUERIES - len(seen))]
        if len(wanted):
            seen += samples(asked.source, wanted, names=columns)
    seen = seen or [Sample(UNLABELLED, name) for name in answers.names[:QUERIES]]
    return [
        replace(sample, name=shown_name(name), label=label or UNLABELLED)
        for sample, name, label in zip(seen, answers.names[:QUERIES], answers.labels[:QUERIES], strict=True)
    ]


def _looks(index: Index, positions: Sequence[int]) -> dict[int, Sample]:
    """Return what items look like, by their positions in the index."""
    looks: dict[int, Sample] = {}
    read: dict[int, list[Split]] = {}
    bits = index.card.restore.get("bits", 16)
    for position, item in zip(positions, index.items.take(positions).to_pylist(), strict=True):
        name, label = item["name"], item["label"] or UNLABELLED
        picture = _picture(Path(name), bits) if Path(name).suffix.lower() in EXTENSIONS else ""
        look = Sample(label, shown_name(name), picture=picture)
        if not picture:
            if item["origin"] not in read:
                read[item["origin"]] = _read_origin(index, item["origin"])
            look = _look_of_part(read[item["origin"]], item, look, column_names(index.card.schema, index.card.restore))
        looks[position] = look
    return looks


def _picture(file: Path, bits: int) -> str:
    try:
        with large_images_allowed():
            return data_uri(torch.from_numpy(decode_image(file, min(SIDE, *image_shape(file)), 3, bits=bits)[0]))
    except UnreadableImageError:
        return ""


def _read_origin(index: Index, number: int) -> list[Split]:
    """Read the data that items come from once more; nothing where they are no longer there, or not the same."""
    origin = index.manifest.origins[number]
    try:
        root = None if origin.data_root is None else Path(origin.data_root)
        return read_splits(origin.data, index.card, data_root=root)
    except (ValueError, OSError):
        return []


def _look_of_part(parts: Sequence[Split], item: dict[str, object], unseen: Sample, columns: Sequence[str]) -> Sample:
    place = item["position"]
    for part in parts:
        if part.split == item["split"] and isinstance(place, int) and place < len(part.names):
            if part.names[place] != item["name"]:
                continue
            (look,) = samples(part.source, torch.tensor([place]), names=columns)
            return replace(look, name=unseen.name, label=unseen.label)
    return unseen
