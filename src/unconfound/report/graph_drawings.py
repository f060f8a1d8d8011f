"""A graph as a small drawing: nodes that few edges part lie near each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, shortest_path
from scipy.spatial.distance import cdist

WIDTH, HEIGHT, MARGIN = 320, 240, 20
DRAWN_NODES = 150  # more are a blot at this size
DRAWN_EDGES = 600
FEW_EDGES = 60
LONGEST_EDGE = 70
COLOURS = 10  # as many as the page has
ROUNDS = 60  # the drawing hardly changes after


def draw_graph(
    nodes: Float[np.ndarray, "nodes features"], edges: Int[np.ndarray, "2 edges"], *, label: str
) -> tuple[Markup, str]:
    """Draw a graph and count its parts.

    Nodes with one-hot features have the colour of their kind, grey from the eleventh kind on and where they are of
    none; other nodes have all the same. Of a large graph the nodes around the one with the most edges are drawn, and
    evenly spaced ones of very many edges. Directions of edges and loops are left out of the drawing. The same graph
    gives the same drawing.

    Args:
        nodes: features of every node, at least one node.
        edges: source and target of every directed edge; both directions of an edge count as one.
        label: what a screen reader says before the counts.

    Returns:
        The drawing and "17 nodes, 19 edges".
    """
    pairs = np.unique(np.sort(edges, axis=0), axis=1)
    shown = _around_the_hub(pairs, len(nodes))
    place = np.full(len(nodes), -1)
    place[shown] = np.arange(len(shown))
    inside = place[pairs[:, (place[pairs] >= 0).all(0)]]
    points = _fit(_lay_out(inside, len(shown)))
    lines = inside[:, inside[0] != inside[1]]
    drawn = lines[:, np.linspace(0, lines.shape[1] - 1, min(DRAWN_EDGES, lines.shape[1])).round().astype(int)]
    counted = f"{_count(len(nodes), 'node')}, {_count(pairs.shape[1], 'edge')}"
    path = "".join(f"M{a} {b}L{c} {d}" for (a, b), (c, d) in zip(points[drawn[0]], points[drawn[1]], strict=True))
    width = round(float(np.clip(72 / np.sqrt(len(shown)), 8, 24)))
    colours = _colours(nodes)[shown]
    dots = [
        Markup('<path class="nodes colour-{}" stroke-width="{}" d="{}"></path>').format(
            "rest" if colour < 0 else colour, width, "".join(f"M{x} {y}h0" for x, y in points[colours == colour])
        )
        for colour in np.unique(colours)
    ]
    drawing = Markup(
        '<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<path class="edges" stroke-width="{}" d="{}"></path>{}</svg>'
    ).format(WIDTH, HEIGHT, f"{label}: {counted}", 3 if drawn.shape[1] <= FEW_EDGES else 1, path, Markup("").join(dots))
    return drawing, counted


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _colours(nodes: Float[np.ndarray, "nodes features"]) -> Int[np.ndarray, " nodes"]:
    kinds = nodes.argmax(1)
    one_hot = bool(((nodes == 0) | (nodes == 1)).all() and (nodes.sum(1) <= 1).all())
    if not one_hot:
        return np.zeros(len(nodes), dtype=np.int64)
    return np.where((kinds < COLOURS) & (nodes.sum(1) > 0), kinds, -1)


def _around_the_hub(pairs: Int[np.ndarray, "2 edges"], nodes: int) -> Int[np.ndarray, " shown"]:
    """Choose the nodes to draw: all, or the nearest to the one with the most edges, filled up with the first others."""
    if nodes <= DRAWN_NODES:
        return np.arange(nodes)
    hub = int(np.bincount(pairs.ravel(), minlength=nodes).argmax())
    near = breadth_first_order(_adjacency(pairs, nodes), hub, directed=False, return_predecessors=False)
    others = np.setdiff1d(np.arange(nodes), near)
    return np.sort(np.concatenate([near, others])[:DRAWN_NODES])


def _adjacency(pairs: Int[np.ndarray, "2 edges"], nodes: int) -> coo_array:
    return coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(nodes, nodes)).tocsr()


def _lay_out(pairs: Int[np.ndarray, "2 edges"], nodes: int) -> Float[np.ndarray, "nodes 2"]:
    """Place nodes so that their distances are those along the edges.

    Stress majorization with weights distance^-2 (Gansner, Koren and North, "Graph Drawing by Stress Majorization",
    GD 2004), from classical scaling. Nodes that no path joins are a little farther apart than any that one does.
    """
    if nodes == 1:
        return np.zeros((1, 2))
    distances = shortest_path(_adjacency(pairs, nodes), directed=False, unweighted=True)
    joined: Bool[np.ndarray, "nodes nodes"] = np.isfinite(distances)
    distances[~joined] = distances[joined].max() + 1
    squares = distances**2
    inner = (squares.mean(0) + squares.mean(1)[:, None] - squares - squares.mean()) / 2
    values, vectors = np.linalg.eigh(inner)
    points: Float[np.ndarray, "nodes 2"] = vectors[:, -2:] * np.sqrt(values[-2:].clip(0))
    # Nodes with the same neighbours fall onto one point, which nothing would part again.
    points += np.random.default_rng(0).normal(scale=0.01, size=points.shape)
    np.fill_diagonal(distances, 1)
    weights = distances**-2
    np.fill_diagonal(weights, 0)
    inverse = np.linalg.pinv(np.diag(weights.sum(1)) - weights, hermitian=True)
    for _ in range(ROUNDS):
        apart = cdist(points, points)
        pull = weights * distances / np.maximum(apart, 1e-9)
        points = inverse @ (pull.sum(1)[:, None] * points - pull @ points)
    return points


def _fit(points: Float[np.ndarray, "nodes 2"]) -> Int[np.ndarray, "nodes 2"]:
    """Turn the longest way of the drawing flat and put it into the frame, in whole units."""
    centred = points - points.mean(0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T if len(points) > 1 else centred
    low, high = turned.min(0), turned.max(0)
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    scale = min(LONGEST_EDGE, *(room / np.maximum(high - low, 1e-9)))
    placed = (turned - (low + high) / 2) * scale + np.array([WIDTH, HEIGHT]) / 2
    return np.asarray(placed.round(), np.int64)
