"""The nearest rows in the order of their exact distances, found by quick products whose rounding is bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.functional.bounded_scores import BoundedScores
from unconfound.functional.inputs import wide
from unconfound.functional.largest import largest, largest_in_any_order_of_equals
from unconfound.functional.similarity import normalize

# Numbers held at a time where all rows are compared with a query.
_CHUNK_ELEMENTS = 2**22
# Numbers held at a time where pairs are compared feature by feature: as many as fit in a cache.
_PAIR_ELEMENTS = 2**16
# Rows that the centre is taken from.
_CENTRE_ROWS = 512


class Nearness:
    """Queries and a gallery, and which rows of it are nearest to which query, by Euclidean distance.

    Distances are those of the given numbers: from differences, squared and added up in float64. Of each pair this is
    the same whatever else is compared. It is computed where it matters alone. What is nearest is first looked for by a
    matrix product in float32, whose rounding is bounded (see `BoundedScores`): rows whose products differ by more than
    both may be off are in order; the others, and few they are as a rule, are compared exactly. Queries with too many of
    these are looked at in float64, where rounding leaves less in doubt, and what is still in doubt is compared exactly.

    Args:
        queries: finite, in float32 or float64, on a device that has float64.
        gallery: likewise, with as many features.
    """

    def __init__(self, queries: Float[Tensor, "queries features"], gallery: Float[Tensor, "gallery features"]) -> None:
        largest_magnitude = max(float(bound.abs()) for rows in (queries, gallery) for bound in rows.aminmax())
        # A power of two, by which numbers are multiplied exactly: squares shall neither overflow nor vanish. Those of
        # float32 do neither in float64.
        scale = 2.0 ** -min(max(math.frexp(largest_magnitude)[1], -1000), 1000)
        self._unit = scale if torch.float64 in {queries.dtype, gallery.dtype} else 1.0
        self.queries = queries if self._unit == 1 else queries.double() * self._unit
        self.gallery = gallery if self._unit == 1 else gallery.double() * self._unit
        self._look_scale = scale / self._unit
        # Queries to which all rows are equally near.
        self._blank = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        # Any centre will do, but the nearer to most rows, the less rounding. A few huge rows do not move the median.
        self._centre = self.gallery[:: -(-len(gallery) // _CENTRE_ROWS)].double().median(0).values

    @classmethod
    def of_directions(
        cls, queries: Float[Tensor, "queries features"], gallery: Float[Tensor, "gallery features"]
    ) -> Nearness:
        """Compare directions: the squared distances of rows of length 1 are 2 - 2 x their cosine similarity.

        The similarity of a row of zeros to anything is 0: it gets a direction of its own, one for those of the gallery
        and one for the queries, to which all rows are equally near.
        """
        same = queries is gallery
        queries = normalize(queries.double())
        gallery = queries if same else normalize(gallery.double())
        blank, blank_gallery = (~rows.any(1, keepdim=True) for rows in (queries, gallery))
        if bool(blank.any() | blank_gallery.any()):
            queries = torch.cat([queries, blank, torch.zeros_like(blank)], 1)
            gallery = torch.cat([gallery, torch.zeros_like(blank_gallery), blank_gallery], 1)
        nearness = cls(queries, gallery)
        nearness._blank = blank.squeeze(1)
        return nearness

    def nearest(
        self,
        asked: Int[Tensor, " asked"],
        count: int,
        *,
        left_out: Int[Tensor, " asked"] | None = None,
        classes: tuple[Int[Tensor, " queries"], Int[Tensor, " gallery"]] | None = None,
    ) -> Int[Tensor, "asked count"]:
        """Return the `count` nearest rows of some queries: the nearest first, of equally near ones the lower index.

        Args:
            asked: positions of queries.
            count: at most the number of rows that may be found.
            left_out: a row that is no answer, for each of the queries asked.
            classes: those of all queries and of the gallery, where it only matters which of the nearest are of the
                query's class: rows that follow each other and all are, or all are not, may then come in any order.
        """
        found = torch.arange(count, device=asked.device).repeat(len(asked), 1)
        if left_out is not None:
            found += found >= left_out[:, None]
        open_ = (~self._blank[asked]).nonzero().squeeze(1)
        if not len(open_):
            return found
        for look in self._looks():
            scores = look.scores(asked[open_])
            if left_out is not None:
                scores.scatter_(1, left_out[open_, None], -torch.inf)
            # Some more than asked for show whether the last is certain. Where it is not, more as a rule settle it.
            for width in (count + 1 + count // 64, count + max(32, count // 4)):
                columns, candidates_from, certain = self._ordered(
                    look, scores, asked[open_], count, width, classes=classes
                )
                found[open_[certain]] = columns[certain]
                if bool(certain.all()):
                    return found
                open_, candidates_from, scores = open_[~certain], candidates_from[~certain, None], scores[~certain]
        found[open_] = self._compared(scores >= candidates_from, asked[open_], count)
        return found

    def distances(self, asked: Int[Tensor, " pairs"], rows: Int[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """Return the distance of each pair of a query and a row, in float64."""
        return self._squares(asked, self.gallery, rows).sqrt() / self._unit

    def cosines(self, asked: Int[Tensor, " pairs"], rows: Int[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """Return the cosine similarity of each pair, in float64, where directions are compared."""
        return (1 - self.distances(asked, rows).square() / 2).masked_fill(self._blank[asked], 0)

    def _squares(self, asked: Tensor, gallery: Tensor, rows: Tensor) -> Tensor:
        squares = torch.empty(len(asked), dtype=torch.float64, device=asked.device)
        step = max(1, (_PAIR_ELEMENTS if asked.device.type == "cpu" else _CHUNK_ELEMENTS) // gallery.shape[1])
        for first in range(0, len(asked), step):
            pairs = slice(first, first + step)
            apart = self.queries.index_select(0, asked[pairs]).double()
            squares[pairs] = apart.sub_(gallery.index_select(0, rows[pairs])).square_().sum(1)
        return squares

    def _looks(self) -> Iterator[BoundedScores]:
        if _multiplies_float32(self.gallery.device):
            yield self._quick
        yield self._fine

    @cached_property
    def _quick(self) -> BoundedScores:
        return self._look(torch.float32)

    @cached_property
    def _fine(self) -> BoundedScores:
        return self._look(torch.float64)

    @cached_property
    def _distinct(self) -> tuple[Tensor, Tensor]:
        """The gallery without duplicates, and where in it each row is."""
        rows, places = self.gallery.unique(dim=0, return_inverse=True)
        return rows, places

    def _look(self, dtype: torch.dtype) -> BoundedScores:
        queries, lengths = self._apart(self.queries, dtype)
        gallery, distances = self._apart(self.gallery, dtype)
        bias = (distances.square() / -2).to(dtype)
        return BoundedScores(queries, gallery, bias, lengths, float(distances.max()))

    def _apart(self, rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the differences from the centre, and their lengths in float64."""
        apart = torch.empty(rows.shape, dtype=dtype, device=rows.device)
        lengths = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
        step = max(1, _PAIR_ELEMENTS // rows.shape[1])
        for first in range(0, len(rows), step):
            here = slice(first, first + step)
            difference = (rows[here].double() - self._centre).mul_(self._look_scale)
            apart[here] = difference
            torch.linalg.vector_norm(difference, dim=1, out=lengths[here])
        return apart, lengths

    def _ordered(
        self,
        look: BoundedScores,
        scores: Float[Tensor, "asked gallery"],
        asked: Int[Tensor, " asked"],
        count: int,
        width: int,
        *,
        classes: tuple[Int[Tensor, " queries"], Int[Tensor, " gallery"]] | None,
    ) -> tuple[Int[Tensor, "asked count"], Float[Tensor, " asked"], Bool[Tensor, " asked"]]:
        """Take the `width` highest scores of each query, and order the nearest `count` where these are among them.

        Returns:
            The nearest; the least score of a row that may be among them; and for which queries the nearest are certain.
        """
        width = min(width, scores.shape[1])
        values, columns = largest_in_any_order_of_equals(scores, width)
        values = values.double()
        off = look.off(asked, values[:, count - 1])
        candidates_from = values[:, count - 1] - 2 * off
        certain = values[:, -1] < candidates_from
        if width == scores.shape[1]:
            certain[:] = True
        close = values[:, :-1] - values[:, 1:] <= 2 * off[:, None]
        close &= (values[:, 1:] >= candidates_from[:, None]) & certain[:, None]
        in_doubt = torch.zeros_like(columns, dtype=torch.bool)
        in_doubt[:, 1:] |= close
        in_doubt[:, :-1] |= close
        asked_row, place = in_doubt.nonzero(as_tuple=True)
        if len(asked_row):
            # Rows of one run are ordered among themselves: what is apart from the next is in order.
            run = torch.nn.functional.pad((~close).cumsum(1), (1, 0))[asked_row, place] + asked_row * width
            rows = columns[asked_row, place]
            if classes is not None:
                matters = _mixed(run, classes[0][asked][asked_row] == classes[1][rows])
                asked_row, place, run, rows = asked_row[matters], place[matters], run[matters], rows[matters]
            squares = self._squares(asked[asked_row], self.gallery, rows)
            order = rows.argsort(stable=True)
            order = order[squares[order].argsort(stable=True)]
            order = order[run[order].argsort(stable=True)]
            columns[asked_row, place] = rows[order]
        return columns[:, :count], candidates_from, certain

    def _compared(
        self, candidates: Bool[Tensor, "asked gallery"], asked: Int[Tensor, " asked"], count: int
    ) -> Int[Tensor, "asked count"]:
        """Return the nearest of the candidates, each of which is compared exactly; of duplicates one for all."""
        distinct, places = self._distinct
        found = asked.new_empty(len(asked), count)
        for some in torch.arange(len(asked), device=asked.device).split(max(1, _CHUNK_ELEMENTS // len(self.gallery))):
            here = candidates[some]
            wanted = torch.zeros(len(some), len(distinct), device=asked.device).index_add_(1, places, here.float())
            row, column = wanted.nonzero(as_tuple=True)
            nearness = torch.full(wanted.shape, -torch.inf, dtype=torch.float64, device=asked.device)
            nearness[row, column] = -self._squares(asked[some][row], distinct, column)
            found[some] = largest(nearness[:, places].masked_fill_(~here, -torch.inf), count)[1]
        return found


def _mixed(runs: Int[Tensor, " rows"], relevant: Bool[Tensor, " rows"]) -> Bool[Tensor, " rows"]:
    """Return which rows are in a run, whose rows follow each other, of relevant rows and others."""
    _, runs, sizes = runs.unique_consecutive(return_inverse=True, return_counts=True)
    hits = torch.zeros_like(sizes).index_add_(0, runs, relevant.to(sizes))
    mixed: Tensor = (hits > 0) & (hits < sizes)
    return mixed[runs]


def _multiplies_float32(device: torch.device) -> bool:
    """Say whether products of float32 matrices are what they are called: torch can be told to make them of TF32."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return backend.matmul.fp32_precision in {"none", "ieee"}


def on_float64(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
    """Return rows in float32 or float64, on the CPU where their device has no float64."""
    rows = wide(rows.detach())
    return rows.cpu() if rows.device.type == "mps" else rows
