from __future__ import annotations

import pytest
import torch

from unconfound.data.pyg import from_pyg

pyg = pytest.importorskip("torch_geometric.data")

EDGES = torch.tensor([[0, 1], [1, 0]])


def _graph(x=None, edge_index=EDGES, y=None, **given):
    given |= {key: value for key, value in (("x", x), ("edge_index", edge_index), ("y", y)) if value is not None}
    return pyg.Data(**given)


def test_a_batch_is_that_of_pyg():
    generator = torch.Generator().manual_seed(0)
    graphs = [
        _graph(torch.rand(size, 3, generator=generator), torch.randint(size, (2, 4), generator=generator), y=size)
        for size in (2, 5, 3, 2)
    ]
    data = from_pyg(graphs, name="mine")
    assert data.labelled is data.train
    assert data.train.name == "mine"
    assert data.train.schema.shape == (3,)
    assert data.train.schema.classes == ("2", "3", "5")
    assert data.train.labels.tolist() == [0, 2, 1, 0]
    asked = [3, 1, 0]
    (batch,) = data.train.batches([torch.tensor(asked)])
    expected = pyg.Batch.from_data_list([graphs[place] for place in asked])
    assert torch.equal(batch.inputs.nodes, expected.x)
    assert torch.equal(batch.inputs.edges, expected.edge_index)
    assert torch.equal(batch.inputs.graph_of_node(), expected.batch)


def test_without_features_and_classes():
    data = from_pyg([_graph(num_nodes=3), _graph(edge_index=None, num_nodes=1)])
    (batch,) = data.train.batches([torch.arange(2)])
    assert batch.inputs.nodes.tolist() == [[1]] * 4
    assert batch.inputs.sizes.tolist() == [3, 1]
    assert batch.labels is None
    assert data.labelled is None
    assert data.train.notes == ("node features: the constant 1, 1 wide",)


def test_whole_features_become_numbers_and_some_classes_may_be_missing():
    data = from_pyg([_graph(torch.tensor([[1], [2]]), y=torch.tensor([7])), _graph(torch.tensor([[3], [4]]))])
    assert data.train.nodes.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert data.train.labels.tolist() == [0, -1]
    assert len(data.labelled) == 1


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lambda: _graph(torch.rand(2, 4)), r"the nodes of graph 1 have features of shape \(2, 4\), .* \[nodes, 3\]"),
        (lambda: _graph(torch.rand(2)), r"the nodes of graph 1 have features of shape \(2,\)"),
        (lambda: _graph(num_nodes=2), "the nodes of graph 1 have no features"),
        (lambda: _graph(torch.rand(0, 3), torch.empty(2, 0, dtype=torch.long)), "graph 1 has no nodes"),
        (lambda: _graph(torch.rand(1, 3)), "graph 1 has an edge from node 0 to node 1, but its nodes are 0 to 0"),
        (lambda: _graph(torch.full((2, 3), torch.nan)), "graph 1 has a node with NaN"),
        (lambda: _graph(torch.rand(2, 3), y=torch.tensor([0.5])), r"graph 1 has y = \[0.5\], one whole number"),
        (lambda: _graph(torch.rand(2, 3), y=torch.tensor([0, 1])), r"graph 1 has y = \[0, 1\], one whole number"),
        (lambda: _graph(torch.rand(2, 3), EDGES[0]), r"graph 1 has an edge_index of torch.int64 and shape \(2,\)"),
        (lambda: _graph(torch.rand(2, 3), EDGES.float()), "graph 1 has an edge_index of torch.float32"),
    ],
)
def test_a_graph_that_does_not_fit_is_named(second, message):
    with pytest.raises(ValueError, match=message) as raised:
        from_pyg([_graph(torch.rand(2, 3)), second()], name="mine")
    assert str(raised.value).startswith("mine: ")
    assert "\n" not in str(raised.value)


def test_no_graphs():
    with pytest.raises(ValueError, match="mine holds no graphs"):
        from_pyg([], name="mine")
