import json

import pytest
import torch

from unconfound.data import Dataset
from unconfound.encoders import build_encoder, save_encoder
from unconfound.report.audit import audit


def mean_of_nodes(graphs):
    sums = torch.zeros(len(graphs), graphs.nodes.shape[1])
    return sums.index_add(0, graphs.graph_of_node(), graphs.nodes) / graphs.sizes[:, None]


@pytest.fixture
def run(tmp_path, graph_data):
    """Return a maker of run folders of an encoder trained with labels, or without."""

    def make(name, *, labels):
        (tmp_path / name).mkdir()
        schema = graph_data.train.schema
        encoder = build_encoder("gin", schema, width=4, depth=1)
        save_encoder(tmp_path / name, encoder, schema=schema, provenance={"method": name, "labels": labels})
        return tmp_path / name

    return make


def test_data_without_a_test_set_are_audited_by_cross_validation(tmp_path, graph_data, run, capsys):
    runs = {name: run(name, labels=labels) for name, labels in (("supervised", True), ("dacl", False))}
    evaluations = audit(dict.fromkeys(runs, mean_of_nodes), graph_data, out=tmp_path, runs=runs, device="cpu")
    assert [list(each.tests) for each in evaluations] == [["cross-validation"]] * 2
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What supervised and dacl learnt" in page
    assert "gin on graphs of 3 node features" in page
    assert "measuring dacl: 20 samples by cross-validation, on cpu" in " ".join(capsys.readouterr().err.split())
    # Labels that were seen in training cannot judge.
    seen = [any("labels of the very samples" in note for note in each.notes) for each in evaluations]
    assert seen == [True, False]
    written = json.loads((tmp_path / "evaluation.json").read_text())["evaluations"]
    assert [any("labels of the very samples" in note for note in each["notes"]) for each in written] == seen


def test_data_with_neither_test_set_nor_labels_are_refused(tmp_path, graph_data):
    bare = Dataset(graph_data.train, {})
    with pytest.raises(ValueError, match="no labels"):
        audit({"a": mean_of_nodes}, bare, out=tmp_path, device="cpu")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("modality", "said"), [("text", "text of 30 tokens"), ("series", "series of 2 channels")])
def test_sequences_are_audited_on_their_test_set(tmp_path, text_data, series_data, modality, said):
    data = text_data if modality == "text" else series_data(channels=2)
    encoder = build_encoder("gru", data.train.schema, width=4)
    save_encoder(tmp_path, encoder, schema=data.train.schema, provenance={"labels": True})
    data = Dataset(data.train, data.tests, labelled=data.train)
    (evaluation,) = audit({"gru": encoder}, data, out=tmp_path, runs={"gru": tmp_path}, device="cpu")
    assert "linear_probe" in evaluation.tests["test"]
    assert not any("very samples" in note for note in evaluation.notes)
    assert f"gru on {said}" in (tmp_path / "report.html").read_text(encoding="utf-8")
