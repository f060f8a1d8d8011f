from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data import Schema
from unconfound.data.core.subset import Subset
from unconfound.data.graphs.graph_source import GraphSource


def _graphs(seed, graphs, *, codes, features=4):
    """Random graphs, some without edges, as lists: (nodes, edges) of each."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(graphs):
        size = int(torch.randint(1, 6, (), generator=generator))
        edges = torch.randint(size, (2, int(torch.randint(7, (), generator=generator))), generator=generator)
        nodes = torch.randint(-1, features, (size,), generator=generator)
        made.append((nodes if codes else torch.rand(size, features, generator=generator), edges))
    return made


def _source(graphs, *, features=4, **given):
    nodes, edges = zip(*graphs, strict=True)
    return GraphSource(
        "toys",
        Schema("graphs", (features,), ("a", "b")),
        torch.cat(nodes),
        torch.cat(edges, 1),
        sizes=torch.tensor([len(each) for each in nodes]),
        edge_counts=torch.tensor([each.shape[1] for each in edges]),
        **given,
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans(), st.data())
def test_a_batch_is_what_is_put_together_graph_by_graph(seed, count, codes, data):
    graphs = _graphs(seed, count, codes=codes)
    labels = torch.arange(count) % 2
    source = _source(graphs, labels=labels, groups=labels + 1)
    asked = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=9)))
    (batch,) = source.batches([asked])
    nodes, edges, first = [], [], 0
    for graph in asked.tolist():
        own, pairs = graphs[graph]
        if codes:
            own = torch.tensor([[float(code == feature) for feature in range(4)] for code in own.tolist()])
        nodes.append(own)
        edges.append(pairs + first)
        first += len(own)
    assert torch.equal(batch.inputs.nodes, torch.cat(nodes))
    assert torch.equal(batch.inputs.edges, torch.cat(edges, 1))
    assert batch.inputs.sizes.tolist() == [len(graphs[graph][0]) for graph in asked.tolist()]
    assert torch.equal(batch.index, asked)
    assert torch.equal(batch.labels, labels[asked])
    assert torch.equal(batch.groups, labels[asked] + 1)


def test_batches_come_in_their_order_and_leave_the_source_as_it_is():
    source = _source(_graphs(3, 10, codes=True))
    edges = source.edges.clone()
    sizes = [batch.inputs.sizes for batch in source.batches(torch.arange(10).split(4))]
    assert [len(each) for each in sizes] == [4, 4, 2]
    assert torch.equal(torch.cat(sizes), source.sizes)
    assert torch.equal(source.edges, edges)
    assert source.labels is None
    assert next(source.batches([torch.arange(2)])).labels is None


def test_a_subset_counts_anew():
    source = _source(_graphs(3, 5, codes=True), labels=torch.tensor([0, 1, 0, 1, 0]))
    (batch,) = Subset(source, torch.tensor([4, 2])).batches([torch.tensor([1])])
    assert batch.index.tolist() == [1]
    assert batch.inputs.sizes.tolist() == [int(source.sizes[2])]


def test_nodes_have_no_statistics():
    mean, deviation = _source(_graphs(3, 5, codes=True)).statistics()
    assert mean.tolist() == [0] * 4
    assert deviation.tolist() == [1] * 4


TWO = [(torch.tensor([0, 1]), torch.tensor([[0], [1]])), (torch.tensor([2, 3, 0]), torch.tensor([[2], [0]]))]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ((torch.tensor([], dtype=torch.long), torch.empty(2, 0, dtype=torch.long)), "toys: second has no nodes: leave"),
        (
            (torch.tensor([0, 1]), torch.tensor([[0], [2]])),
            "second has an edge from node 0 to node 2, but .* are 0 to 1",
        ),
        ((torch.tensor([0, 1]), torch.tensor([[-1], [1]])), "second has an edge from node -1 to node 1"),
        (
            (torch.tensor([0, 4]), torch.tensor([[0], [1]])),
            r"second has a node of code 4, but there are 4 \(0 to 3, -1",
        ),
        ((torch.tensor([-2, 0]), torch.tensor([[0], [1]])), "second has a node of code -2"),
    ],
)
def test_a_graph_that_cannot_be_learnt_from_is_named(graph, message):
    with pytest.raises(ValueError, match=message) as raised:
        _source([TWO[0], graph, TWO[1]], names=("first", "second", "third"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_refused_with_their_graph(value):
    graphs = _graphs(0, 4, codes=False)
    graphs[2][0][-1, 3] = value
    with pytest.raises(ValueError, match="toys: graph 2 has a node with NaN or infinity among its features"):
        _source(graphs)


def test_other_widths_and_sums_are_refused():
    with pytest.raises(ValueError, match="toys: nodes have 4 features, the schema says 5"):
        _source(_graphs(0, 4, codes=False), features=5)
    schema, nodes, edges = Schema("graphs", (1,)), torch.zeros(3, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long)
    with pytest.raises(ValueError, match="toys: 2 graphs have 4 nodes together, but there are 2 graphs and 3 nodes"):
        GraphSource("toys", schema, nodes, edges, sizes=torch.tensor([2, 2]), edge_counts=torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="toys: 2 graphs have 3 edges together, but there are 2 graphs and 2 edges"):
        GraphSource("toys", schema, nodes, edges, sizes=torch.tensor([1, 2]), edge_counts=torch.tensor([1, 2]))
