from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.data import Graphs
from unconfound.encoders import GIN


def _graphs(seed, *, graphs=5, columns=3, one_hot=True):
    """Random graphs in which many nodes are alike; some have loops, repeated edges or none at all."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 7, (graphs,), generator=generator)
    first, edges = 0, []
    for size in sizes.tolist():
        count = int(torch.randint(2 * size + 1, (), generator=generator))
        edges.append(first + torch.randint(size, (2, count), generator=generator))
        first += size
    nodes = torch.rand(first, columns, generator=generator, dtype=torch.float64)
    if one_hot:
        nodes = (nodes == nodes.amax(1, keepdim=True)).double()
    return Graphs(nodes, torch.cat(edges, 1), sizes)


def _network(*, columns=3, width=6, depth=3, training=True):
    torch.manual_seed(1)
    network = GIN(columns, width=width, depth=depth).double().train(training)
    for norm in network.norms:
        torch.nn.init.uniform_(norm.weight)
        torch.nn.init.uniform_(norm.bias)
        norm.running_mean.uniform_()
    return network


def _naive(network, graphs):
    """Node by node, edge by edge, as the paper writes it."""
    nodes, layers = graphs.nodes, []
    for network_, norm in zip(network.networks, network.norms, strict=True):
        sums = [nodes[node] for node in range(len(nodes))]
        for source, target in graphs.edges.T.tolist():
            sums[target] = sums[target] + nodes[source]
        nodes = norm(torch.stack([network_(each) for each in sums]))
        layers.append(nodes)
    nodes = torch.cat(layers, 1)
    return nodes, torch.stack([part.sum(0) for part in nodes.split(graphs.sizes.tolist())])


def _gradients(network, embeddings):
    weights = torch.linspace(-1, 1, embeddings.numel(), dtype=torch.float64).view_as(embeddings).sin()
    return torch.autograd.grad((embeddings * weights).sum(), list(network.parameters()))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_nodes_and_graphs_are_those_of_the_naive_network_and_so_are_gradients(seed, one_hot, training):
    graphs = _graphs(seed, one_hot=one_hot)
    ours, other = _network(training=training), _network(training=training)
    nodes, embeddings = _naive(other, graphs)
    torch.testing.assert_close(ours(graphs), embeddings)
    assert all(torch.equal(a, b) or torch.allclose(a, b) for a, b in zip(ours.buffers(), other.buffers(), strict=True))
    distinct, row_of_node, pooled = ours.nodes_and_graphs(graphs)
    torch.testing.assert_close(distinct[row_of_node], nodes)
    torch.testing.assert_close(pooled, embeddings)
    assert len(distinct) == len(row_of_node.unique())
    for mine, expected in zip(_gradients(ours, ours(graphs)), _gradients(other, embeddings), strict=True):
        torch.testing.assert_close(mine, expected)


def test_each_node_is_looked_at_for_itself_where_its_gradient_is_asked_for():
    graphs, ours, other = _graphs(3), _network(), _network()
    for network, embed in ((ours, ours), (other, lambda graphs: _naive(other, graphs)[1])):
        nodes = graphs.nodes.clone().requires_grad_()
        embeddings = embed(Graphs(nodes, graphs.edges, graphs.sizes))
        network.gradient = torch.autograd.grad(embeddings.square().sum(), nodes)[0]
    torch.testing.assert_close(ours.gradient, other.gradient)
    distinct, row_of_node, _ = ours.nodes_and_graphs(Graphs(nodes, graphs.edges, graphs.sizes))
    assert torch.equal(row_of_node, torch.arange(len(distinct)))


def test_nodes_that_are_alike_are_computed_once():
    network, seen = _network(), []
    for each in network.networks:
        each.register_forward_hook(lambda _module, given, _out: seen.append(len(given[0])))
    # Two triangles and a path of four nodes, all of one label: 1 + 2 kinds of nodes, whatever the layer.
    edges = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (6, 7), (7, 8), (8, 9)]
    edges = torch.tensor(edges + [(target, source) for source, target in edges]).T
    network(Graphs(torch.ones(10, 3).double(), edges, torch.tensor([3, 3, 4])))
    # At first the triangles' nodes are as the path's inner ones: two neighbours each.
    assert seen == [2, 3, 3]


def test_relabelled_nodes_give_the_same_embedding():
    graphs, network = _graphs(4, graphs=1), _network(training=False)
    order = torch.randperm(len(graphs.nodes), generator=torch.Generator().manual_seed(0))
    renamed = Graphs(graphs.nodes[order], order.argsort()[graphs.edges], graphs.sizes)
    torch.testing.assert_close(network(renamed), network(graphs))
    nodes, of_node, _ = network.nodes_and_graphs(graphs)
    nodes_renamed, of_renamed, _ = network.nodes_and_graphs(renamed)
    torch.testing.assert_close(nodes_renamed[of_renamed], nodes[of_node][order])


def test_copies_have_equal_embeddings_and_a_disjoint_union_their_sum():
    one, network = _graphs(4, graphs=1), _network(training=False)
    count = len(one.nodes)
    nodes, edges = one.nodes.repeat(2, 1), torch.cat([one.edges, one.edges + count], 1)
    twice = network(Graphs(nodes, edges, torch.tensor([count, count])))
    torch.testing.assert_close(twice[0], twice[1], rtol=0, atol=0)
    torch.testing.assert_close(twice[:1], network(one))
    torch.testing.assert_close(network(Graphs(nodes, edges, torch.tensor([2 * count])))[0], twice.sum(0))


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch():
    graphs, network = _graphs(9, graphs=4), _network(training=False)
    first = int(graphs.sizes[0])
    own = graphs.edges[:, (graphs.edges < first).all(0)]
    alone = network(Graphs(graphs.nodes[:first], own, graphs.sizes[:1]))
    torch.testing.assert_close(network(graphs)[:1], alone)


def test_sums_are_in_float32_under_autocast():
    graphs = _graphs(5)
    graphs = Graphs(graphs.nodes.float(), graphs.edges, graphs.sizes)
    network = _network().float()
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = network(graphs)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings, network(graphs), rtol=0.1, atol=0.1)


def test_the_embedding_may_be_differentiated_twice():
    graphs, network = _graphs(6), _network(width=3, depth=2)
    parameter = network.networks[0][0].weight
    first = torch.autograd.grad(network(graphs).square().sum(), parameter, create_graph=True)[0]
    second = torch.autograd.grad(first.square().sum(), parameter)[0]
    other = _network(width=3, depth=2)
    parameter = other.networks[0][0].weight
    first = torch.autograd.grad(_naive(other, graphs)[1].square().sum(), parameter, create_graph=True)[0]
    torch.testing.assert_close(second, torch.autograd.grad(first.square().sum(), parameter)[0])


@pytest.mark.parametrize("edges", [0, 3])
def test_a_graph_of_one_node(edges):
    graphs = Graphs(torch.ones(1, 3).double(), torch.zeros(2, edges, dtype=torch.long), torch.tensor([1]))
    torch.testing.assert_close(_network(training=False)(graphs), _naive(_network(training=False), graphs)[1])
