from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softplus
from two_processes import run

from methods.toy import GRAPHS, MODALITIES, convnet, graph_batch, image_batch, small
from unconfound.data import Batch, Graphs
from unconfound.functional.distributed import world
from unconfound.methods import METHODS, InfoGraph
from unconfound.methods.infograph import InfoGraphOptions
from unconfound.training.batch_norm import synchronize_batch_norm


def _method(options=None):
    torch.manual_seed(0)
    return InfoGraph(small(GRAPHS), GRAPHS, options).double()


def _naive(method, graphs):
    """The loss node by node and graph by graph."""
    normalized = method.encoder.network
    distinct, of_node, _ = normalized.network.nodes_and_graphs(normalized.normalize(graphs))
    nodes = distinct[of_node]
    parts = nodes.split(graphs.sizes.tolist())
    vectors = torch.stack([part.sum(0) for part in parts])

    def network(discriminator, rows):
        hidden = rows
        for layer in discriminator.layers:
            hidden = layer(hidden).relu() if isinstance(layer, torch.nn.Linear) else hidden
        return hidden + rows @ discriminator.shortcut.weight.T + discriminator.shortcut.bias

    scores = network(method.of_nodes, nodes) @ network(method.of_graphs, vectors).T
    own = torch.cat([torch.full((len(part),), graph) for graph, part in enumerate(parts)])
    positive = sum(math.log(2) - softplus(-scores[node, graph]) for node, graph in enumerate(own))
    negative = sum(
        softplus(scores[node, graph]) - math.log(2)
        for node in range(len(nodes))
        for graph in range(len(parts))
        if graph != own[node]
    )
    return negative / (len(nodes) * (len(parts) - 1)) - positive / len(nodes)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10**6), st.integers(2, 5), st.booleans())
def test_the_loss_and_its_gradient_are_those_of_pairs_one_by_one(seed, graphs, constant):
    batch = graph_batch(graphs, seed=seed)
    nodes = batch.inputs.nodes.double()
    # Rings of equal nodes: all nodes of all graphs are then alike.
    inputs = Graphs(torch.ones_like(nodes) if constant else nodes, batch.inputs.edges, batch.inputs.sizes)
    gradients, losses = [], []
    for loss in (lambda method: method(Batch(inputs, batch.index)).loss, lambda method: _naive(method, inputs)):
        method = _method(InfoGraphOptions(discriminator_features=4))
        losses.append(loss(method))
        gradients.append(torch.autograd.grad(losses[-1], list(method.parameters())))
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_the_two_networks_are_those_of_the_paper():
    method = _method()
    for network in (method.of_nodes, method.of_graphs):
        kinds = [type(layer).__name__ for layer in network.layers]
        assert kinds == ["Linear", "ReLU"] * 3
        linears = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        assert len(linears) == 4
        for layer in linears:
            assert layer.weight.shape == (16, 16)
            bound = math.sqrt(6 / 32)
            assert layer.weight.abs().max() <= bound
            assert layer.weight.abs().max() > 0.8 * bound
            assert (layer.bias == 0).all()
    assert METHODS["infograph"](small(GRAPHS), GRAPHS, InfoGraphOptions(discriminator_layers=1)).of_nodes


def test_everything_is_learnt_in_one_pass_over_the_graphs():
    method, batch, seen = _method(), graph_batch(), []
    for network in method.encoder.network.network.networks:
        network.register_forward_hook(lambda _module, _given, _out: seen.append(1))
    step = method(Batch(_doubled(batch.inputs), batch.index))
    assert len(seen) == 2
    step.loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert step.embeddings.shape == (5, 16)
    assert not step.embeddings.requires_grad


def test_the_embeddings_are_the_encoder_s():
    method, batch = _method().eval(), graph_batch()
    torch.testing.assert_close(
        method(Batch(_doubled(batch.inputs), batch.index)).embeddings, method.encoder(_doubled(batch.inputs)).float()
    )


def test_nodes_are_told_apart_by_their_graphs():
    torch.manual_seed(0)
    method = InfoGraph(small(GRAPHS), GRAPHS)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = method(graph_batch(6)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < -0.5
    assert losses[-1] < losses[0] - 0.5


def test_half_precision_gives_a_float32_loss():
    torch.manual_seed(0)
    method = InfoGraph(small(GRAPHS), GRAPHS)
    with torch.autocast("cpu", torch.bfloat16):
        loss = method(graph_batch()).loss
    assert loss.dtype == torch.float32
    loss.backward()
    torch.testing.assert_close(loss, method(graph_batch()).loss, rtol=0.1, atol=0.1)


def _doubled(graphs):
    return Graphs(graphs.nodes.double(), graphs.edges, graphs.sizes)


def _share():
    """Rings of 3, 4 nodes in the first process, of 5, 6 in the second."""
    whole, (rank, processes) = _doubled(graph_batch(4).inputs), world()
    method = _method(InfoGraphOptions(discriminator_features=4))
    synchronize_batch_norm(method, torch.device("cpu"))
    if processes > 1:
        start, end = (0, 7) if rank == 0 else (7, 18)
        inside = ((whole.edges >= start) & (whole.edges < end)).all(0)
        whole = Graphs(whole.nodes[start:end], whole.edges[:, inside] - start, whole.sizes[2 * rank : 2 * rank + 2])
    loss = method(Batch(whole, torch.arange(len(whole)))).loss
    gradients = torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(method.parameters()))])
    if processes > 1:
        torch.distributed.all_reduce(gradients)
    return loss.detach(), gradients / processes, [buffer.clone() for buffer in method.buffers()]


def test_two_processes_with_unequal_numbers_of_nodes_are_as_one(tmp_path):
    loss, gradients, buffers = _share()
    for other, own, statistics in run(_share, tmp_path):
        torch.testing.assert_close(other, loss)
        torch.testing.assert_close(own, gradients)
        torch.testing.assert_close(statistics, buffers)
    assert gradients.abs().max() > 1e-3


@pytest.mark.parametrize("modality", sorted(set(MODALITIES) - {"graphs"}))
def test_other_data_are_refused(modality):
    encoder, schema, _ = MODALITIES[modality]
    with pytest.raises(ValueError, match=f"compares nodes with graphs, the data are {modality}: use dacl"):
        InfoGraph(encoder(), schema)


def test_other_encoders_and_batches_are_refused():
    with pytest.raises(ValueError, match="needs the nodes' embeddings of gin, got ConvNet"):
        InfoGraph(convnet(), GRAPHS)
    with pytest.raises(ValueError, match="this batch holds one: use at least two"):
        InfoGraph(small(GRAPHS), GRAPHS)(graph_batch(1))
    method = InfoGraph(small(GRAPHS), GRAPHS)
    method.encoder.network.mean, method.encoder.network.deviation = torch.zeros(3), torch.ones(3)
    with pytest.raises(TypeError, match="takes a batch of graphs, got Tensor"):
        method(image_batch())
