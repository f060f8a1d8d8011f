"""What an encoder takes for alike: the nearest neighbours of a few queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Source
from unconfound.evaluation.embeddings import Embeddings
from unconfound.functional.neighbours import nearest
from unconfound.report.pictures import Sample, samples


@dataclass(frozen=True)
class Neighbour:
    """A neighbour of a query; `hit` says whether they share their class, None where one has no label."""

    sample: Sample
    hit: bool | None
    similarity: float


@dataclass(frozen=True)
class Query:
    """A query and its neighbours, the nearest first."""

    sample: Sample
    neighbours: tuple[Neighbour, ...]


def queries(
    asked: Embeddings,
    asked_source: Source,
    gallery: Embeddings,
    gallery_source: Source,
    chosen: Int[Tensor, " queries"],
    *,
    neighbours: int = 5,
    names: Sequence[str] = (),
) -> list[Query]:
    """Find the nearest neighbours of some samples by the cosine of their embeddings.

    Args:
        asked: embeddings that hold the queries.
        asked_source: where the queries come from.
        gallery: embeddings among which neighbours are sought: of the same samples as `asked`, maybe on other
            backgrounds. A query's own sample is left out.
        gallery_source: where the gallery comes from.
        chosen: positions of the queries in their source.
        neighbours: fewer where the gallery is smaller.
        names: of the features of a row; not used for others.
    """
    rows = torch.cat([(asked.index == position).nonzero()[:1, 0] for position in chosen])
    # One more than asked for, as the query's own sample may be among them.
    wanted = min(neighbours + 1, len(gallery))
    similarities, found = nearest(asked.features[rows], gallery.features, neighbours=wanted, metric="cosine")
    answers = []
    for row, query in enumerate(samples(asked_source, asked.index[rows], names=names)):
        others = gallery.index[found[row]] != asked.index[rows[row]]
        kept, alike = found[row][others][:neighbours], similarities[row][others][:neighbours]
        label = -1 if asked.labels is None else int(asked.labels[rows[row]])
        shown = [
            Neighbour(sample, _hit(label, gallery, int(place)), float(similarity))
            for sample, place, similarity in zip(
                samples(gallery_source, gallery.index[kept], names=names), kept, alike, strict=True
            )
        ]
        answers.append(Query(query, tuple(shown)))
    return answers


def _hit(label: int, gallery: Embeddings, row: int) -> bool | None:
    other = -1 if gallery.labels is None else int(gallery.labels[row])
    return None if label < 0 or other < 0 else label == other
