from __future__ import annotations

import json
import zipfile

import jaxtyping
import pytest
import torch

from unconfound.data.graphs.tu import is_tu_folder, tu_folder, tu_set

# Two graphs of three nodes and one: a path listed both ways with a repeat, and a loop.
FILES = {
    "A": "1, 2\n2, 1\n3,2\n2, 3\n4, 4\n2, 1\n",
    "graph_indicator": "1\n1\n1\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "10\n9\n10\n3\n",
}
# graphs, classes, nodes, undirected edges, node labels: the table of the README beside the data.
PUBLISHED = {
    "MUTAG": (188, [63, 125], 3371, 19.79, 7),
    "PTC_MR": (344, [192, 152], 4915, 14.69, 18),
    "IMDB-BINARY": (1000, [500, 500], 19773, 96.53, 1),
    "IMDB-MULTI": (1500, [500] * 3, 19502, 65.94, 1),
    "PROTEINS": (1113, [663, 450], 43471, 72.82, 3),
    "NCI1": (4110, [2053, 2057], 122747, 32.30, 37),
    "REDDIT-BINARY": (2000, [1000, 1000], 859254, 497.75, 1),
}


def _write(folder, changes=(), *, name="TOY"):
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in {**FILES, **dict(changes)}.items():
        if text is not None:
            (folder / f"{name}_{ending}.txt").write_text(text)
    return folder


def _inputs(dataset):
    return next(dataset.train.batches([torch.arange(len(dataset.train))])).inputs


@pytest.mark.parametrize("inside", [".", "raw"])
def test_a_folder_of_text_files(tmp_path, inside):
    _write(tmp_path / inside)
    assert is_tu_folder(tmp_path)
    data = tu_folder(tmp_path)
    train, graphs = data.train, _inputs(data)
    assert train.name == "TOY"
    assert train.schema.modality == "graphs"
    assert train.schema.classes == ("-1", "1")
    assert train.labels.tolist() == [1, 0]
    assert train.names == ["graph 1", "graph 2"]
    assert graphs.sizes.tolist() == [3, 1]
    assert graphs.edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    # The labels 3, 9, 10 in the order of their numbers.
    assert graphs.nodes.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert data.labelled is train
    assert data.tests == {}
    assert list(train.notes) == [
        "1 of 6 listed edges join a node with itself and are dropped",
        "1 of 6 listed edges are repeats and dropped",
        "node features: 3 node labels, one-hot",
        "2 graphs of 2 classes, on average of 2.00 nodes and 2.00 edges, counted in each direction",
    ]


def test_degree_and_constant(tmp_path):
    _write(tmp_path, {"node_labels": None})
    constant = tu_folder(tmp_path)
    assert constant.restore["node_features"] == "constant"
    assert _inputs(constant).nodes.tolist() == [[1]] * 4
    assert "node features: the constant 1, 1 wide" in constant.train.notes
    degree = _inputs(tu_folder(tmp_path, node_features="degree")).nodes
    assert degree.shape == (4, 101)
    assert degree.argmax(1).tolist() == [1, 2, 1, 0]
    assert (degree.sum(1) == 1).all()


def test_degrees_above_the_largest_share_a_feature(tmp_path):
    star = "".join(f"1, {leaf}\n{leaf}, 1\n" for leaf in range(2, 203))
    _write(tmp_path, {"A": star, "graph_indicator": "1\n" * 202, "graph_labels": "1\n", "node_labels": None})
    data = tu_folder(tmp_path, node_features="degree")
    assert _inputs(data).nodes.argmax(1).tolist() == [100] + [1] * 201
    assert any("1 nodes have more than 100 neighbours" in note for note in data.train.notes)


@pytest.mark.parametrize("node_features", ["labels", "degree", "constant"])
def test_new_graphs_are_read_as_the_first_ones_were(tmp_path, node_features):
    first = tu_folder(_write(tmp_path / "first"), node_features=node_features)
    restore = json.loads(json.dumps(first.restore))
    assert restore["kind"] == "graphs"
    new = {"graph_labels": "5\n1\n", "node_labels": "9\n9\n7\n3\n"}
    data = tu_folder(_write(tmp_path / "new", new), encoding=restore["encoding"])
    assert data.restore == first.restore
    assert data.train.schema == first.train.schema
    assert data.train.labels.tolist() == [-1, 1]
    assert "1 of 2 graphs have a class unknown in training" in data.train.notes
    assert len(data.labelled) == 1
    if node_features == "labels":
        assert _inputs(data).nodes.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
        assert "1 of 4 nodes have a label unknown in training" in data.train.notes


def test_graphs_without_labels_are_read_for_an_encoder_that_had_them(tmp_path):
    encoding = tu_folder(_write(tmp_path / "first")).restore["encoding"]
    data = tu_folder(_write(tmp_path / "new", {"graph_labels": None}), encoding=encoding)
    assert data.train.labels is None
    assert data.labelled is None
    with pytest.raises(ValueError, match=r"TOY has no node labels \(TOY_node_labels.txt\).*trained on"):
        tu_folder(_write(tmp_path / "bare", {"node_labels": None}), encoding=encoding)


def test_what_is_not_used_is_said(tmp_path):
    _write(tmp_path, {"node_attributes": "0.5\n" * 4, "edge_labels": "1\n" * 6})
    notes = tu_folder(tmp_path).train.notes
    assert "TOY_node_attributes.txt is not used" in notes
    assert "TOY_edge_labels.txt is not used" in notes


ATTRIBUTES = "0.5, -1\n2e3, 0\n0, 7\n1, 1\n"


def test_edges_that_are_listed_one_way_go_one_way_and_are_counted(tmp_path):
    data = tu_folder(_write(tmp_path, {"A": "1, 2\n2, 1\n3, 2\n1, 3\n1, 3\n"}), node_features="degree")
    graphs = _inputs(data)
    assert graphs.edges.T.tolist() == [[0, 1], [0, 2], [1, 0], [2, 1]]
    assert graphs.nodes.argmax(1).tolist() == [2, 1, 1, 0]
    assert "2 of 4 edges are listed in one direction only and go that way only" in data.train.notes


def test_several_labels_of_a_node_stand_side_by_side(tmp_path):
    data = tu_folder(_write(tmp_path, {"node_labels": "10, 1\n9, 0\n10, 0\n3, 1\n"}))
    assert _inputs(data).nodes.tolist() == [[0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]
    assert data.train.schema.shape == (5,)
    assert "node features: 3 + 2 node labels, one-hot" in data.train.notes
    restore = json.loads(json.dumps(data.restore))
    new = tu_folder(_write(tmp_path / "new", {"node_labels": "3, 0\n9, 5\n8, 1\n8, 5\n"}), encoding=restore["encoding"])
    assert _inputs(new).nodes.tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert new.train.schema == data.train.schema
    with pytest.raises(ValueError, match=r"TOY_node_labels.txt has 1 numbers a line, the encoder was trained on 2"):
        tu_folder(_write(tmp_path / "one"), encoding=restore["encoding"])


def test_attributes_are_taken_as_they_are_where_asked_for(tmp_path):
    _write(tmp_path, {"node_attributes": ATTRIBUTES})
    assert "TOY_node_attributes.txt is not used" in tu_folder(tmp_path).train.notes
    data = tu_folder(tmp_path, node_features="attributes")
    assert _inputs(data).nodes.tolist() == [[0.5, -1], [2000, 0], [0, 7], [1, 1]]
    assert not any("not used" in note for note in data.train.notes)
    both = tu_folder(tmp_path, node_features="labels+attributes")
    assert _inputs(both).nodes.tolist() == [[0.5, -1, 0, 0, 1], [2000, 0, 0, 1, 0], [0, 7, 0, 0, 1], [1, 1, 1, 0, 0]]
    assert both.train.schema.shape == (5,)
    restore = json.loads(json.dumps(both.restore))
    again = tu_folder(tmp_path, encoding=restore["encoding"])
    assert torch.equal(_inputs(again).nodes, _inputs(both).nodes)
    assert again.restore == both.restore


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (None, r"TOY has no node attributes \(TOY_node_attributes.txt\)"),
        ("1, 2\n", "TOY_node_attributes.txt has 1 lines for 4 nodes"),
        ("1, 2\nx, 2\n1, 2\n1, 2\n", "TOY_node_attributes.txt must hold numbers: "),
        ("1, 2\n1, nan\n1, 2\n1, 2\n", "TOY: graph 1 has a node with NaN or infinity among its features"),
        ("1, 2\n1, 2\n1, 2\n1, 1e300\n", "TOY: graph 2 has a node with NaN or infinity among its features"),
    ],
)
def test_damaged_attributes_are_refused(tmp_path, attributes, message):
    _write(tmp_path, {"node_attributes": attributes})
    with pytest.raises(ValueError, match=message) as raised:
        tu_folder(tmp_path, node_features="attributes")
    assert "\n" not in str(raised.value)


def test_graphs_without_edges_and_without_labels(tmp_path):
    data = tu_folder(_write(tmp_path, {"A": "", "graph_labels": None, "node_labels": None}))
    assert _inputs(data).edges.shape == (2, 0)
    assert len(data.train) == 2
    assert data.train.schema.classes == ()


@pytest.mark.parametrize("place", ["TOY", "TOY/raw", "TUDataset/TOY", "TUDataset/TOY/raw"])
def test_a_set_is_found_by_its_name_in_a_folder(tmp_path, place):
    _write(tmp_path / place)
    assert len(tu_set("TOY", tmp_path).train) == 2


@pytest.mark.parametrize("place", [".", "TUDataset"])
def test_a_set_is_found_by_its_name_in_a_zip_file(tmp_path, place):
    _write(tmp_path / "plain")
    (tmp_path / place).mkdir(exist_ok=True)
    with zipfile.ZipFile(tmp_path / place / "TOY.zip", "w") as archive:
        for ending, text in FILES.items():
            archive.writestr(f"TOY/raw/TOY_{ending}.txt", text)
    data, expected = tu_set("TOY", tmp_path), tu_folder(tmp_path / "plain")
    assert data.restore == expected.restore
    assert torch.equal(data.train.edges, expected.train.edges)
    assert torch.equal(data.train.nodes, expected.train.nodes)
    assert {path.name for path in (tmp_path / place).iterdir()} <= {"TOY.zip", "plain", "TUDataset"}


def test_a_set_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"^TOY is read from files: say which folder holds them \(--data-root\)$"):
        tu_set("TOY", None)
    with pytest.raises(FileNotFoundError, match=r"TOY needs TOY_A.txt .*TOY.zip beside it: nothing is downloaded"):
        tu_set("TOY", tmp_path)
    (tmp_path / "TOY.zip").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(ValueError, match=r"TOY.zip is damaged"):
        tu_set("TOY", tmp_path)
    with zipfile.ZipFile(tmp_path / "TOY.zip", "w") as archive:
        archive.writestr("TOY_A.txt", FILES["A"])
    with pytest.raises(FileNotFoundError, match=r"TOY_graph_indicator.txt is missing"):
        tu_set("TOY", tmp_path)


def test_other_folders_are_told_apart(tmp_path):
    assert not is_tu_folder(tmp_path / "missing")
    (tmp_path / "TOY_A.txt").write_text("1, 2\n")
    assert not is_tu_folder(tmp_path)
    with pytest.raises(ValueError, match=r"should hold the files of one set of graphs .* found: none"):
        tu_folder(tmp_path)
    _write(_write(tmp_path), name="OTHER")
    with pytest.raises(ValueError, match="found: OTHER, TOY"):
        tu_folder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": "1, 2\n2, 9\n"}, "TOY_A.txt, line 2: an edge from node 2 to node 9, but the nodes are 1 to 4"),
        ({"A": "0, 2\n"}, "TOY_A.txt, line 1: an edge from node 0 to node 2, but the nodes are 1 to 4"),
        ({"A": "1, 2\n3, 4\n"}, "TOY_A.txt, line 2: an edge from node 3 to node 4 joins graph 1 and graph 2"),
        ({"A": "1, 2, 3\n"}, "TOY_A.txt has 3 numbers a line, expected 2"),
        ({"A": "1, x\n"}, "TOY_A.txt must hold whole numbers: "),
        ({"graph_labels": "1\n-1\n1\n"}, "TOY: graph 3 has no nodes: leave it out"),
        ({"graph_indicator": "1\n1\n1\n3\n", "graph_labels": None}, "TOY: graph 2 has no nodes"),
        (
            {"graph_indicator": "1\n1\n1\n99999999999999\n", "graph_labels": None},
            "names 4 nodes for 99,",
        ),
        ({"graph_indicator": "1\n1\n1\n3\n"}, "TOY_graph_indicator.txt, line 4: graph 3, but the graphs are 1 to 2"),
        ({"graph_indicator": "1\n2\n1\n2\n"}, "indicator.txt, line 3: nodes must come in the order of their graphs"),
        ({"graph_labels": "0.5\n1.5\n"}, "TOY_graph_labels.txt must hold whole numbers"),
        ({"node_labels": "1\n2\n"}, "TOY_node_labels.txt has 2 lines for 4 nodes"),
        (
            {"graph_indicator": "", "graph_labels": "", "node_labels": None, "A": ""},
            "indicator.txt names no graphs",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_line_that_says_where(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        tu_folder(_write(tmp_path, changes))
    assert "\n" not in str(raised.value)


@pytest.fixture
def unchecked_shapes():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_shapes")
def test_unknown_node_features_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be auto, labels, attributes, .* or constant, got 'given'"):
        tu_folder(_write(tmp_path), node_features="given")
    with pytest.raises(ValueError, match="TOY has no node labels"):
        tu_folder(_write(tmp_path / "bare", {"node_labels": None}), node_features="labels")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_counts(data_root, name):
    graphs, classes, nodes, edges, features = PUBLISHED[name]
    source = tu_set(name, data_root).train
    assert len(source) == graphs
    assert source.labels.bincount().tolist() == classes
    assert len(source.nodes) == nodes
    assert round(source.edges.shape[1] / 2 / graphs, 2) == pytest.approx(edges)
    assert source.schema.shape == (features,)
    assert source.schema.classes == tuple(sorted(source.schema.classes, key=int))


@pytest.mark.parametrize("name", ["MUTAG", "PTC_MR", "PROTEINS"])
def test_graphs_are_those_that_pytorch_geometric_reads(data_root, name):
    reader = pytest.importorskip("torch_geometric.io.tu")
    folder = next((data_root / "TUDataset" / name).rglob(f"{name}_A.txt")).parent
    theirs, slices, sizes = reader.read_tu_data(str(folder), name)
    attributes = sizes["num_node_attributes"] > 0
    ours = tu_set(name, data_root, node_features="labels+attributes" if attributes else "auto")
    assert torch.equal(_inputs(ours).nodes, theirs.x)
    assert torch.equal(ours.train.edges, theirs.edge_index)
    assert torch.equal(ours.train.edge_counts, slices["edge_index"].diff())
    assert torch.equal(ours.train.sizes, slices["x"].diff())
    assert torch.equal(ours.train.labels, theirs.y)


@pytest.mark.parametrize("lines", ["", "1, 1\n4, 4\n1, 2\n1, 1\n", "1, 3\n"])
def test_loops_repeats_and_directions_are_those_of_pytorch_geometric(tmp_path, lines):
    reader = pytest.importorskip("torch_geometric.io.tu")
    _write(tmp_path, {"A": "1, 2\n2, 1\n" + lines, "node_labels": "0, 1\n1, 1\n2, 0\n0, 0\n"})
    theirs, _, _ = reader.read_tu_data(str(tmp_path), "TOY")
    ours = tu_folder(tmp_path)
    assert torch.equal(ours.train.edges, theirs.edge_index)
    assert torch.equal(_inputs(ours).nodes, theirs.x)
