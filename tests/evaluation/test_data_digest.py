"""Whatever of the data is another gives another checksum."""

from __future__ import annotations

from dataclasses import replace

import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.graphs.graph_source import GraphSource
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.evaluation.data_digest import data_digest

ROWS = MemorySource(
    "rows",
    Schema("tables", (2,), ("a", "b")),
    torch.arange(12.0).reshape(6, 2),
    torch.tensor([0, 1, 0, 1, -1, 0]),
    names=list("uvwxyz"),
)


def test_equal_data_have_one_and_others_another() -> None:
    others = [
        {"train": replace(ROWS, inputs=ROWS.inputs + (torch.arange(6) == 4)[:, None])},
        {"train": replace(ROWS, labels=ROWS.labels.flip(0))},
        {"train": replace(ROWS, labels=None)},
        {"train": replace(ROWS, groups=ROWS.labels)},
        {"train": replace(ROWS, names=[*"uvwxy", "zz"])},
        {"train": replace(ROWS, names=None)},
        {"train": replace(ROWS, schema=Schema("tables", (2,), ("a", "c")))},
        {"test": ROWS},
        {"train": ROWS, "test": ROWS},
    ]
    digests = [data_digest(each) for each in others]
    assert data_digest({"train": ROWS}) == data_digest({"train": replace(ROWS, inputs=ROWS.inputs.clone())})
    assert len({*digests, data_digest({"train": ROWS})}) == len(others) + 1


def test_sequences_and_graphs_have_one_too() -> None:
    lengths = torch.tensor([2, 1])
    texts = [
        SequenceSource("s", Schema("text", (9,)), torch.tensor(values), lengths) for values in ([1, 2, 3], [1, 2, 4])
    ]
    nodes = [torch.tensor([[1.0], [2.0], [last]]) for last in (3.0, 4.0)]
    # Two graphs, of two nodes with an edge and of one without.
    shape = torch.tensor([[0], [1]]), lengths, torch.tensor([1, 0])
    graphs = [GraphSource("g", Schema("graphs", (1,)), each, *shape) for each in nodes]
    for one, other in (texts, graphs):
        assert data_digest({"train": one}) == data_digest({"train": one})
        assert data_digest({"train": one}) != data_digest({"train": other})
