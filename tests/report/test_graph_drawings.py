import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.report.graph_drawings import HEIGHT, WIDTH, draw_graph


def both_ways(pairs):
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return np.concatenate([edges, edges[::-1]], axis=1)


def drawn(drawing):
    """The points of the nodes, with their colours, and the ends of the edges."""
    nodes = []
    for colour, path in re.findall(r'class="nodes colour-(\w+)"[^>]* d="([^"]*)"', str(drawing)):
        nodes += [((int(x), int(y)), colour) for x, y in re.findall(r"M(-?\d+) (-?\d+)h0", path)]
    path = re.search(r'class="edges"[^>]* d="([^"]*)"', str(drawing))[1]
    edges = [
        ((int(a), int(b)), (int(c), int(d))) for a, b, c, d in re.findall(r"M(-?\d+) (-?\d+)L(-?\d+) (-?\d+)", path)
    ]
    return nodes, edges


def apart(a, b):
    return np.hypot(a[0] - b[0], a[1] - b[1])


def test_a_path_is_a_line_of_equal_steps():
    nodes = np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 2]]
    drawing, size = draw_graph(nodes, both_ways([(0, 1), (1, 2), (2, 3), (3, 4)]), label="a path")
    points, edges = drawn(drawing)
    assert size == "5 nodes, 4 edges"
    assert 'aria-label="a path: 5 nodes, 4 edges"' in drawing
    assert sorted(colour for _, colour in points) == ["0", "1", "2", "2", "2"]
    assert np.ptp([y for (_, y), _ in points]) <= 2
    lengths = [apart(*edge) for edge in edges]
    assert len(lengths) == 4
    assert max(lengths) - min(lengths) <= 1


def test_distances_in_the_drawing_are_those_along_the_edges():
    ring = [(place, (place + 1) % 8) for place in range(8)]
    points, edges = drawn(draw_graph(np.ones((8, 1), np.float32), both_ways(ring), label="r")[0])
    lengths = [apart(*edge) for edge in edges]
    assert max(lengths) < 1.1 * min(lengths)
    places = np.array([point for point, _ in points])
    radii = np.linalg.norm(places - places.mean(0), axis=1)
    assert radii.max() < 1.1 * radii.min()


def test_alike_nodes_do_not_cover_each_other():
    star = [(0, leaf) for leaf in range(1, 12)]
    complete = [(a, b) for a in range(9) for b in range(a)]
    for pairs, count in ((star, 12), (complete, 9), ([], 7)):
        points, _ = drawn(draw_graph(np.ones((count, 1), np.float32), both_ways(pairs), label="s")[0])
        places = [point for point, _ in points]
        assert min(apart(a, b) for place, a in enumerate(places) for b in places[:place]) > 10


def test_edges_count_once_whichever_way_they_go():
    nodes = np.ones((3, 1), np.float32)
    directed = np.array([[0, 1, 0], [1, 2, 1]])
    assert draw_graph(nodes, directed, label="d")[1] == "3 nodes, 2 edges"
    loop = np.array([[0, 0, 1], [0, 1, 0]])
    drawing, size = draw_graph(nodes, loop, label="l")
    assert size == "3 nodes, 2 edges"
    assert len(drawn(drawing)[1]) == 1


@pytest.mark.parametrize(
    ("nodes", "colours"),
    [
        (np.zeros((2, 3), np.float32), ["rest", "rest"]),
        (np.eye(12, dtype=np.float32)[[9, 10]], ["9", "rest"]),
        (np.array([[0.5, 0.5], [1.0, 0.0]], np.float32), ["0", "0"]),
        (np.array([[1.0, 1.0], [0.0, 1.0]], np.float32), ["0", "0"]),
    ],
)
def test_a_colour_is_a_kind_where_nodes_have_kinds(nodes, colours):
    points, _ = drawn(draw_graph(nodes, both_ways([(0, 1)]), label="k")[0])
    assert sorted(colour for _, colour in points) == colours


def test_a_node_alone_stands_in_the_middle():
    drawing, size = draw_graph(np.ones((1, 1), np.float32), both_ways([]), label="one")
    assert size == "1 node, 0 edges"
    assert drawn(drawing) == ([((WIDTH // 2, HEIGHT // 2), "0")], [])


def test_of_a_large_graph_the_surroundings_of_its_hub_are_drawn():
    # A hub with 100 leaves, far down a path of 2,900.
    pairs = [(place, place + 1) for place in range(2899)] + [(2899, 2900 + leaf) for leaf in range(100)]
    nodes = np.eye(2, dtype=np.float32)[[0] * 2900 + [1] * 100]
    start = time.process_time()
    drawing, size = draw_graph(nodes, both_ways(pairs), label="large")
    assert time.process_time() - start < 5
    points, edges = drawn(drawing)
    assert size == "3,000 nodes, 2,999 edges"
    assert len(points) == 150
    assert [colour for _, colour in points].count("1") == 100
    assert len(edges) == 149
    points, edges = drawn(draw_graph(nodes, both_ways([]), label="edgeless")[0])
    assert (len(points), len(edges)) == (150, 0)


def test_very_many_edges_do_not_flood_the_page():
    complete = [(a, b) for a in range(100) for b in range(a)]
    drawing, size = draw_graph(np.ones((100, 1), np.float32), both_ways(complete), label="dense")
    assert size == "100 nodes, 4,950 edges"
    assert len(drawn(drawing)[1]) == 600
    assert len(drawing) < 20_000


def test_the_label_is_text():
    drawing, _ = draw_graph(np.ones((1, 1), np.float32), both_ways([]), label='"><script>')
    assert "<script>" not in drawing


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_every_graph_fits_the_frame_and_is_drawn_alike_each_time(graph):
    count, pairs = graph
    nodes = np.ones((count, 1), np.float32)
    drawing, size = draw_graph(nodes, both_ways(pairs), label="any")
    assert drawing == draw_graph(nodes, both_ways(pairs[::-1]), label="any")[0]
    points, edges = drawn(drawing)
    different = {frozenset(pair) for pair in pairs}
    assert size.split(", ")[1].split()[0] == str(len(different))
    assert len(points) == count
    assert len(edges) == sum(len(pair) == 2 for pair in different)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for (x, y), _ in points)
