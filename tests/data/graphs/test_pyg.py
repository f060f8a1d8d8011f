from __future__ import annotations

import warnings

import pytest
import torch

from unconfound.data.graphs.pyg import from_pyg

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


# Edges with a direction, one of them twice, and the last node alone.
DIRECTED = torch.tensor([[0, 0, 2, 1, 3], [1, 2, 1, 3, 1]])


def _matrix(layout):
    """The transposed adjacency of DIRECTED, entry by entry."""
    matrix = torch.zeros(5, 5)
    for source, target in DIRECTED.T.tolist():
        matrix[target, source] = 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR", UserWarning)
        return matrix.to_sparse(layout=layout)


class _SparseTensor:
    """As torch_sparse has it."""

    def __init__(self, matrix):
        self.matrix = matrix.to_sparse_coo().coalesce()

    def sizes(self):
        return list(self.matrix.shape)

    def coo(self):
        return *self.matrix.indices(), None


@pytest.mark.parametrize("features", [torch.rand(5, 3), None])
@pytest.mark.parametrize(
    "given",
    [
        {"adj_t": _matrix(torch.sparse_csr)},
        {"adj_t": _matrix(torch.sparse_csc)},
        {"adj_t": _matrix(torch.sparse_coo)},
        {"adj_t": _SparseTensor(_matrix(torch.sparse_coo))},
        {"adj_t": _matrix(torch.sparse_coo).to_dense()},
        {"adj": _matrix(torch.sparse_coo).to_dense().T},
        {"adj": _matrix(torch.sparse_coo).to_dense().T[..., None] * torch.tensor([0.0, -2.0])},
        {"adj": _matrix(torch.sparse_csr).to_dense().T.to_sparse_csr()},
    ],
)
def test_matrices_of_edges_are_read_in_their_direction(given, features):
    graph = _graph(features, None, **given)
    if features is None:
        graph.num_nodes = 5
    (batch,) = from_pyg([graph, graph]).train.batches([torch.tensor([1])])
    assert sorted(batch.inputs.edges.T.tolist()) == sorted(DIRECTED.T.tolist())
    assert batch.inputs.sizes.tolist() == [5]


@pytest.mark.parametrize("layout", [None, torch.sparse_csr, torch.sparse_coo])
def test_graphs_after_to_sparse_tensor_are_those_before(layout):
    transforms = pytest.importorskip("torch_geometric.transforms")
    graphs = [_graph(torch.rand(5, 3), DIRECTED, y=number % 2) for number in range(4)]
    before = from_pyg(graphs).train
    after = from_pyg([transforms.ToSparseTensor(layout=layout)(graph.clone()) for graph in graphs]).train
    assert torch.equal(after.edge_counts, before.edge_counts)
    for number in range(4):
        ours, theirs = (next(each.batches([torch.tensor([number])])).inputs for each in (after, before))
        assert sorted(ours.edges.T.tolist()) == sorted(theirs.edges.T.tolist())
        assert torch.equal(ours.nodes, theirs.nodes)


def test_the_padding_of_dense_graphs_is_left_out():
    transforms = pytest.importorskip("torch_geometric.transforms")
    graphs = [_graph(torch.rand(5, 3), DIRECTED), _graph(torch.rand(2, 3))]
    source = from_pyg([transforms.ToDense(7)(graph.clone()) for graph in graphs]).train
    assert source.sizes.tolist() == [5, 2]
    assert source.edge_counts.tolist() == [5, 2]
    assert torch.equal(source.nodes, torch.cat([graph.x for graph in graphs]))


def test_batches_are_taken_apart():
    graphs = [_graph(torch.rand(2 + number, 3), y=number % 2) for number in range(4)]
    expected = from_pyg(graphs).train
    whole = pyg.Batch.from_data_list(graphs)
    for given in (whole, [pyg.Batch.from_data_list(graphs[:3]), pyg.Batch.from_data_list(graphs[3:])]):
        source = from_pyg(given).train
        assert torch.equal(source.sizes, expected.sizes)
        assert torch.equal(source.edges, expected.edges)
        assert torch.equal(source.labels, expected.labels)


def test_attributes_of_edges_are_said_not_to_be_used():
    data = from_pyg([_graph(torch.rand(2, 3), edge_attr=torch.rand(2, 4)), _graph(torch.rand(2, 3))])
    assert data.train.notes == ("edge_attr is not used",)


def _of_kind(kind):
    if kind == "HyperGraphData":
        return pytest.importorskip("torch_geometric.data.hypergraph_data").HyperGraphData(x=torch.rand(3, 2))
    graph = getattr(pyg, kind)()
    if kind == "HeteroData":
        graph["a"].x, graph["b"].x = torch.rand(2, 3), torch.rand(2, 3)
        graph["a", "to", "b"].edge_index = EDGES
    return graph


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (lambda: [_of_kind("HeteroData")], r"graph 0 is a HeteroData, which .* to_homogeneous\(\)"),
        (lambda: [_of_kind("TemporalData")], "graph 0 is a TemporalData, which holds events"),
        (lambda: [_of_kind("HyperGraphData")], "graph 0 is a HyperGraphData, which has edges that join any number"),
        (lambda: [pyg.Data(x=torch.rand(3, 2))], r"graph 0 \(Data\) has none of edge_index, adj_t and adj: graphs are"),
        (lambda: pyg.Data(x=torch.rand(3, 2), edge_index=EDGES), r"graph 0 \(tuple\) has none of edge_index"),
        (lambda: [pyg.Data(pos=torch.rand(3, 2))], r"graph 0 \(Data\) has none of edge_index"),
        (lambda: [pyg.Data(x=torch.rand(3, 2), adj=torch.ones(3, 2))], r"graph 0 has an adj of shape \(3, 2\)"),
        (
            lambda: [pyg.Data(x=torch.rand(3, 2), adj=torch.ones(2, 2))],
            "graph 0 has 3 nodes by its x, but 2 by its adj",
        ),
        (lambda: [pyg.Data(x=torch.rand(1, 2), adj_t=[[0]])], "graph 0 has an adj_t of type list"),
        (lambda: [pyg.Data(x=torch.rand(2, 2), edge_index=torch.eye(2).to_sparse())], "an edge_index that is no dense"),
        (lambda: pyg.Batch(x=torch.rand(2, 3, 2), adj=torch.ones(2, 3, 3)), "a batch cannot be taken apart"),
    ],
)
def test_what_would_be_read_without_edges_is_refused(graphs, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyG's, that it has to guess the number of nodes
        with pytest.raises(ValueError, match=f"^mine: .*{message}") as raised:
            from_pyg(graphs(), name="mine")
    assert "\n" not in str(raised.value)


def test_no_graphs():
    with pytest.raises(ValueError, match="mine holds no graphs"):
        from_pyg([], name="mine")
