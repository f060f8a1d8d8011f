from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softplus
from two_processes import run

from unconfound.functional.distributed import gather, world
from unconfound.functional.mutual_information import jensen_shannon_loss


def _naive(scores, graph_of_node):
    """Pair by pair, as the specification writes it."""
    nodes, graphs = scores.shape
    positive = negative = 0.0
    for node in range(nodes):
        for graph in range(graphs):
            score = float(scores[node, graph])
            if graph == int(graph_of_node[node]):
                positive += math.log(2) - math.log1p(math.exp(-score))
            else:
                negative += math.log1p(math.exp(score)) - math.log(2)
    return negative / (nodes * (graphs - 1)) - positive / nodes


def _draw(seed, nodes=7, graphs=3):
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(nodes, graphs, generator=generator, dtype=torch.float64)
    return scores, torch.randint(graphs, (nodes,), generator=generator)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(2, 5))
def test_the_loss_is_that_of_pairs_one_by_one(seed, nodes, graphs):
    scores, own = _draw(seed, nodes, graphs)
    assert float(jensen_shannon_loss(scores, own)) == pytest.approx(_naive(scores, own), abs=1e-12)


def test_gradients_are_those_of_finite_differences():
    scores, own = _draw(0)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: jensen_shannon_loss(scores, own), scores)
    assert torch.autograd.gradgradcheck(lambda scores: jensen_shannon_loss(scores, own), scores)


def test_known_values():
    _, own = _draw(1)
    assert jensen_shannon_loss(torch.zeros(7, 3), own).item() == pytest.approx(0, abs=1e-7)
    sides = torch.where(own[:, None] == torch.arange(3), 1.0, -1.0).double()
    for scale in (0.5, 2.0, 1000.0):
        expected = 2 * (softplus(torch.tensor(-scale, dtype=torch.float64)) - math.log(2))
        torch.testing.assert_close(jensen_shannon_loss(scale * sides, own), expected)
    assert jensen_shannon_loss(1000 * sides, own).item() == pytest.approx(-2 * math.log(2))


def test_the_order_of_nodes_and_of_graphs_does_not_matter():
    scores, own = _draw(2)
    nodes, graphs = torch.randperm(7), torch.randperm(3)
    moved = scores[nodes][:, graphs]
    torch.testing.assert_close(
        jensen_shannon_loss(moved, graphs.argsort()[own][nodes]), jensen_shannon_loss(scores, own)
    )


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_scores_give_finite_gradients(size):
    scores, own = _draw(3)
    scores = (size * scores).float().requires_grad_()
    loss = jensen_shannon_loss(scores, own)
    loss.backward()
    assert loss.isfinite()
    assert scores.grad.isfinite().all()
    torch.testing.assert_close(loss.double(), jensen_shannon_loss(scores.detach().double(), own))


def test_half_precision_is_summed_in_float32():
    scores, own = _draw(4)
    loss = jensen_shannon_loss(scores.bfloat16(), own)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, jensen_shannon_loss(scores.bfloat16().float(), own))


def _share():
    """Three graphs in each of two processes; five nodes in the first, eleven in the second."""
    generator = torch.Generator().manual_seed(5)
    nodes, graphs = (torch.randn(rows, 4, generator=generator, dtype=torch.float64) for rows in (16, 6))
    own = torch.randint(6, (16,), generator=generator).sort().values
    layer = torch.nn.Linear(4, 4).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    rank, processes = world()
    if processes > 1:
        mine = own // 3 == rank
        nodes, own, graphs = nodes[mine], own[mine], graphs[3 * rank : 3 * rank + 3]
    loss = jensen_shannon_loss(layer(nodes) @ gather(layer(graphs).tanh()).T, own)
    loss.backward()
    gradients = torch.cat([layer.weight.grad.flatten(), layer.bias.grad])
    if processes > 1:
        torch.distributed.all_reduce(gradients)
    return loss.detach(), gradients / processes, len(nodes)


def test_two_processes_give_the_loss_and_the_gradient_of_one(tmp_path):
    loss, gradients, _ = _share()
    ranks = run(_share, tmp_path)
    assert ranks[0][2] != ranks[1][2]
    for other, own, _ in ranks:
        torch.testing.assert_close(other, loss)
        torch.testing.assert_close(own, gradients)
    assert gradients.abs().max() > 1e-3


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("scores", "own", "error", "message"),
    [
        (
            torch.zeros(3, 1),
            torch.zeros(3).long(),
            ValueError,
            "told apart by their graphs, and there is 1: use a batch",
        ),
        (torch.zeros(3, 2), torch.tensor([0, 1, 2]), ValueError, "must be 0 to 1, a column of scores, got 0 to 2"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), ValueError, "must be 0 to 1, a column of scores, got -1 to 1"),
        (torch.zeros(3, 2), torch.zeros(2).long(), ValueError, r"got shapes \(3, 2\) and \(2,\)"),
        (torch.zeros(0, 2), torch.zeros(0).long(), ValueError, r"at least one node, got shapes \(0, 2\) and \(0,\)"),
        (torch.zeros(3), torch.zeros(3).long(), ValueError, r"\[nodes, graphs\]"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), TypeError, "scores must be floating-point, got torch.int64"),
        (torch.zeros(3, 2), torch.zeros(3), TypeError, "graph_of_node must be integers, got torch.float32"),
    ],
)
def test_bad_input_is_refused(scores, own, error, message):
    with pytest.raises(error, match=message):
        jensen_shannon_loss(scores, own)
