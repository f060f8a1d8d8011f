"""Tables: how far DCML's environments agree with what is known of the samples, and where its gates are open."""

from __future__ import annotations

import torch

from unconfound.evaluation.agreement import Agreement
from unconfound.evaluation.partitions import Partition
from unconfound.evaluation.result_table import Column, Row, Table, TableCell, cells_of_text
from unconfound.report.attention_maps import AttentionPart
from unconfound.report.environment_sheets import EnvironmentsPart

SHOWN_PARTS = 24


def relations(part: EnvironmentsPart) -> Table | None:
    """How far the environments and other partitions of the samples agree."""
    if not part.relations:
        return None
    rows = []
    for each in part.relations:
        rand, area = each.rand, each.area
        counts = (f"{rand.samples:,}", f"{len(each.partition.names):,}")
        cells = cells_of_text((*counts, _number(rand.value, 3), _range(rand, 3), _number(rand.most, 3)))
        if area is not None:
            decisive = f"{each.partition.names[1]}: environment {each.decisive}"
            cells += (TableCell(_number(area.value, 2), decisive), TableCell(_range(area, 2)))
        rows.append(
            Row(each.partition.title, cells if area is not None else (*cells, TableCell(None), TableCell(None)))
        )
    caption = (
        "How far the environments agree with what is known of the samples. Adjusted Rand index: 1 if both partitions "
        "are identical, about 0 if they are unrelated; “at most” is the maximum for parts of these sizes. AUC, for "
        "partitions into two parts: how well the weight in the environment separates the parts; 0.5 is chance. "
        "“Shuffled”: the range of 95 % of the values when environments are assigned at random."
    )
    columns = ("samples", "parts", "adjusted Rand index", "shuffled", "at most", "AUC", "shuffled")
    return Table(caption, "environments and", tuple(map(Column, columns)), tuple(rows))


def counts(part: EnvironmentsPart) -> list[Table]:
    """How many samples of each class, scene, group, ... are in each environment."""
    if part.held is None:
        return []
    return [_counts(each.partition, part) for each in part.relations]


def attention(part: AttentionPart) -> Table | None:
    """How much of the spatial gates lies on the foreground."""
    if part.area is None:
        return None
    rows = [
        Row("mean weights" if place == 0 else f"environment {place - 1}", (TableCell(share), TableCell(more)))
        for place, (share, more) in enumerate(zip(part.shares, part.differences, strict=True))
    ]
    rows.append(Row("the foreground's area", (TableCell(part.area), TableCell(None))))
    caption = (
        f"Share of the spatial gate that lies on the foreground, in percent: mean over {part.area.samples:,} images. A "
        "gate that is the same everywhere has the share of the foreground's area. The difference is paired by image."
    )
    columns = (Column("on the foreground"), Column("above its area", "points"))
    return Table(caption, "gate of", columns, tuple(rows))


def _counts(partition: Partition, part: EnvironmentsPart) -> Table:
    assert part.held is not None
    environments = len(part.sheets)
    known = partition.of >= 0
    flat = partition.of[known] * environments + part.held[known]
    table = flat.bincount(minlength=len(partition.names) * environments).view(-1, environments)
    totals = table.sum(1, keepdim=True)
    shares = table / totals.clamp_min(1)
    # Those that environments divide least like all samples are what one looks for.
    apart = (shares - table.sum(0) / table.sum()).abs().amax(1)
    shown = (
        apart.argsort(descending=True, stable=True)[:SHOWN_PARTS]
        if len(table) > SHOWN_PARTS
        else torch.arange(len(table))
    )
    rows = []
    for row in shown.tolist():
        counts = zip(table[row].tolist(), shares[row].tolist(), strict=True)
        cells = (TableCell(f"{count:,}", f"{100 * share:.0f} %") for count, share in counts)
        rows.append(Row(partition.names[row], (*cells, TableCell(f"{int(totals[row]):,}"))))
    caption = f"Training samples by {partition.title}: how many have most of their weight in each environment."
    if len(table) > SHOWN_PARTS:
        caption += f" {SHOWN_PARTS} of {len(table)}, the most unevenly divided first."
    columns = (*(f"environment {number}" for number in range(environments)), "total")
    return Table(caption, partition.title, tuple(map(Column, columns)), tuple(rows))


def _number(value: float, digits: int) -> str:
    # A zero has no sign.
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _range(agreement: Agreement, digits: int) -> str:
    return f"{_number(agreement.low, digits)} to {_number(agreement.high, digits)}"
