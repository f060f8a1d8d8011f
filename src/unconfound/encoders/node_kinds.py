"""Nodes that no network of sums over neighbours can tell apart: the colours of Weisfeiler and Leman."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Odd numbers of 64 bits, as torch's signed integers: those of the generator splitmix64.
_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


@dataclass(frozen=True)
class Kinds:
    """Which nodes are alike.

    Args:
        first: one node of each kind.
        of_node: the kind of each node.
    """

    first: Int[Tensor, " kinds"]
    of_node: Int[Tensor, " nodes"]


def node_kinds(nodes: Float[Tensor, "nodes features"], edges: Int[Tensor, "2 edges"], *, layers: int) -> list[Kinds]:
    """Find the nodes that are alike after 1, 2, ... layers, each of which sums over a node's neighbours.

    Two nodes are alike at first where their features are equal; then, layer by layer, where they were alike and as many
    neighbours of each kind. Nodes of different graphs may be alike.

    Kinds are told apart by hashes of 64 bits: among n kinds, two share one with a probability of about n^2 / 10^19.
    """
    source, target = edges
    # 0.0 and -0.0 count as different, which costs a little time and changes nothing.
    bits = nodes.detach().double().view(torch.int64)
    hashes = _mixed(bits + _GOLDEN * torch.arange(bits.shape[1], device=bits.device)).sum(1)
    found = []
    for _ in range(layers):
        hashes = _mixed(hashes)
        hashes = (_GOLDEN * hashes).index_add(0, target, hashes[source])
        found.append(_kinds(hashes))
    return found


def _kinds(hashes: Int[Tensor, " nodes"]) -> Kinds:
    ordered, order = hashes.sort(stable=True)
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return Kinds(order[is_new], torch.empty_like(order).index_copy(0, order, is_new.cumsum(0) - 1))


def _mixed(numbers: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Hash each number one to one, such that sums of hashes tell multisets apart."""
    numbers = (numbers ^ _shifted(numbers, 30)) * _FIRST
    numbers = (numbers ^ _shifted(numbers, 27)) * _SECOND
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift repeats the sign."""
    shifted: Tensor = (numbers >> bits) & (2 ** (64 - bits) - 1)
    return shifted
