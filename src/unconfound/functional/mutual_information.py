"""InfoGraph's estimate of the mutual information between nodes and graphs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.distributed import sum_over_processes
from unconfound.functional.inputs import check_floating, wide
from unconfound.functional.labels import whole_numbers


def jensen_shannon_loss(
    scores: Float[Tensor, "nodes graphs"], graph_of_node: Integer[Tensor, " nodes"]
) -> Float[Tensor, ""]:
    """Compute the negative Jensen-Shannon estimate of how much nodes tell of their graphs.

    Sun et al., "InfoGraph" (ICLR 2020), equation 4, in the form of its code: with sp = softplus and R the scores, the
    mean over nodes of [sp(-R) - log 2] at their own graph plus the mean over nodes and other graphs of [sp(R) - log 2].
    0 where all scores are 0; -2 log 2 at best.

    Where nodes are spread over processes, each hands in its own nodes against the graphs of all; the loss and, once
    averaged, the gradients are those of one process that holds all nodes.

    Args:
        scores: R, of each node against each graph; any scale.
        graph_of_node: the column of each node's own graph.

    Raises:
        TypeError: scores are not floating-point, or graphs of nodes no integers.
        ValueError: shapes do not fit, there are no nodes, fewer than two graphs (a node then has no other), or a column
            that is not there.
    """
    check_floating("scores", scores)
    graph_of_node = whole_numbers("graph_of_node", graph_of_node)
    if scores.dim() != 2 or scores.shape[:1] != graph_of_node.shape or not len(scores):
        raise ValueError(
            "scores must be [nodes, graphs] with a graph_of_node for each of at least one node, got shapes "
            f"{tuple(scores.shape)} and {tuple(graph_of_node.shape)}"
        )
    nodes, graphs = scores.shape
    if graphs < 2:
        raise ValueError(f"nodes are told apart by their graphs, and there is {graphs}: use a batch of at least two")
    low, high = int(graph_of_node.min()), int(graph_of_node.max())
    if low < 0 or high >= graphs:
        raise ValueError(f"graph_of_node must be 0 to {graphs - 1}, a column of scores, got {low} to {high}")
    with torch.autocast(scores.device.type, enabled=False):
        scores = wide(scores)
        own = graph_of_node[:, None] == torch.arange(graphs, device=scores.device)
        attraction = F.softplus(-scores[own]).sum()
        repulsion = F.softplus(scores).masked_fill(own, 0).sum() / (graphs - 1)
        count = sum_over_processes(scores.new_tensor(nodes))
        return sum_over_processes(attraction + repulsion) / count - 2 * math.log(2)
