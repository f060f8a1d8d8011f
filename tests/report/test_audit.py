import json
import re
from dataclasses import replace

import pytest
import torch

from report.test_page import Page
from unconfound.data import Dataset
from unconfound.encoders import Morphed, build_encoder, load_encoder, save_classifier, save_encoder
from unconfound.evaluation.judging import Judging
from unconfound.report.audit import audit_encoders


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
    evaluations = audit_encoders(
        dict.fromkeys(runs, mean_of_nodes), graph_data, out=tmp_path, runs=runs, judging=Judging(device="cpu")
    )
    assert [list(each.tests) for each in evaluations] == [["cross-validation"]] * 2
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What supervised and dacl learnt" in page
    assert "gin on graphs of 3 node features" in page
    assert "measuring dacl: 20 samples by cross-validation, on cpu" in " ".join(capsys.readouterr().err.split())
    # Labels that were seen in training cannot evaluate.
    seen = [any("labels of the samples that it is evaluated on" in note for note in each.notes) for each in evaluations]
    assert seen == [True, False]
    written = json.loads((tmp_path / "evaluation.json").read_text())["evaluations"]
    assert [
        any("labels of the samples that it is evaluated on" in note for note in each["notes"]) for each in written
    ] == seen


def test_data_with_neither_test_set_nor_labels_are_refused(tmp_path, graph_data):
    bare = Dataset(graph_data.train, {})
    with pytest.raises(ValueError, match="no labels"):
        audit_encoders({"a": mean_of_nodes}, bare, out=tmp_path, judging=Judging(device="cpu"))
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("modality", "said"), [("text", "text of 30 tokens"), ("series", "series of 2 channels")])
def test_sequences_are_audited_on_their_test_set(tmp_path, text_data, series_data, modality, said):
    data = text_data if modality == "text" else series_data(channels=2)
    encoder = build_encoder("gru", data.train.schema, width=4)
    save_encoder(tmp_path, encoder, schema=data.train.schema, provenance={"labels": True})
    data = Dataset(data.train, data.tests, labelled=data.train)
    (evaluation,) = audit_encoders(
        {"gru": encoder}, data, out=tmp_path, runs={"gru": tmp_path}, judging=Judging(device="cpu")
    )
    assert "linear_probe" in evaluation.tests["test"]
    assert not any("samples that it is evaluated on" in note for note in evaluation.notes)
    assert f"gru on {said}" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def morphing(tmp_path, picture_data):
    """Return pictures, and a maker of runs of an encoder with a morpher and a classifier."""
    made = picture_data(each=12)
    data = Dataset(made.train, made.tests, labelled=made.train, validation=picture_data().tests["original"])

    def make(name, *, classes=None):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        schema = data.train.schema if classes is None else replace(data.train.schema, classes=classes)
        encoder = build_encoder("convnet", schema, width=4, depth=2)
        encoder.wrap(Morphed)
        save_encoder(tmp_path / name, encoder, schema=schema, provenance={"method": "cim", "labels": True})
        save_classifier(tmp_path / name, torch.nn.Linear(encoder.features, len(schema.classes)))
        return tmp_path / name

    return data, make


def test_the_classifier_of_a_run_is_judged_and_its_mistakes_and_masks_are_shown(tmp_path, morphing):
    data, make = morphing
    # A foreground without a background has no difference.
    for source in data.tests.values():
        source.masks[..., 8:] = False
    runs = {"cim": make("cim")}
    (evaluation,) = audit_encoders(
        {"cim": load_encoder(runs["cim"])}, data, out=tmp_path, runs=runs, judging=Judging(device="cpu")
    )
    assert "classifier" in evaluation.tests["original"]
    assert "worst_group_classifier" in evaluation.tests["validation"]
    assert evaluation.morph["mask_foreground"].samples == 48
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parts = re.findall(r'<section id="(\w+)"', page)
    # An untrained encoder may have a gap or none, and so advice.
    parts = [part for part in parts if part != "advice"]
    assert parts == ["gap", "results", "samples", "neighbours", "maps", "morphs", "groups", "hardest", "run"]
    section = page[page.index('<section id="morphs"') :].partition("</section>")[0]
    assert section.count("<img ") == 3 * 12
    assert "mean over 48 images" in section
    section = page[page.index('<section id="hardest"') :].partition("</section>")[0]
    assert re.search(r"the trained classifier is correct on [\d.]+ % of \d+ samples and wrong on \d+", section)
    assert re.search(r"predicted class \d, \d+&nbsp;%", section)
    section = page[page.index('<section id="groups"') :].partition("</section>")[0]
    assert "Filled bars: the trained classifier." in section
    assert section.count("<svg") == 1
    assert "Validation part, for model selection" in section
    assert "validation (not a test)" in page
    assert "24 validation samples" in page
    assert len(re.findall(r'id="results-table-\d"', page)) == 3
    Page(page)


def test_a_classifier_of_other_classes_is_not_asked(tmp_path, morphing):
    data, make = morphing
    runs = {"named otherwise": make("named", classes=("a", "b", "c", "d")), "fewer": make("fewer", classes=("a", "b"))}
    encoders = {name: load_encoder(run) for name, run in runs.items()}
    evaluations = audit_encoders(encoders, data, out=tmp_path, runs=runs, judging=Judging(device="cpu"))
    assert not any("classifier" in each.tests["original"] for each in evaluations)
    assert evaluations[0].notes[-1] == (
        "the trained classifier is not evaluated: its classes are a, b, c, d, not class 0, class 1, class 2, class 3"
    )
    assert "the trained classifier is not evaluated: it tells 2 classes apart, these are 4" in evaluations[1].notes


def test_mistakes_on_rows_and_texts_are_tables(tmp_path, table_data, text_data):
    rows = Dataset(table_data.train, table_data.tests, labelled=table_data.train)
    audit_encoders({"noise": lambda inputs: inputs[:, :1] % 0.1}, rows, out=tmp_path, judging=Judging(device="cpu"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="hardest"') :].partition("</section>")[0]
    assert "the linear probe is correct on" in section
    assert re.search("Predicted</th>.*Probability</th>.*column 1</th>", section)
    Page(page)
    for source in (text_data.train, *text_data.tests.values()):
        source.groups = torch.arange(12) % 3
        source.schema = replace(source.schema, groups=("x", "y", "z"))
    texts = Dataset(text_data.train, text_data.tests, labelled=text_data.train)
    audit_encoders(
        {"noise": lambda inputs: inputs.lengths[:, None].float() % 5},
        texts,
        out=tmp_path,
        judging=Judging(device="cpu"),
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="hardest"') :].partition("</section>")[0]
    assert '<table class="texts">' in section
    assert "is it so?" in section
    Page(page)


def test_classes_that_were_not_trained_on_are_audited_by_retrieval(tmp_path, morphing, capsys):
    data, make = morphing
    others = tuple(f"other {label}" for label in range(4))
    named = {
        name: replace(source, schema=replace(source.schema, classes=others))
        for name, source in (data.tests | {"validation": data.validation}).items()
    }
    data = replace(data, validation=named.pop("validation"), tests=named)
    (evaluation,) = audit_encoders(
        {"cim": load_encoder(make("cim"))}, data, out=tmp_path, runs={"cim": tmp_path / "cim"}
    )
    assert set(evaluation.tests["original"]) == {"precision_at_1", "r_precision", "map_at_r"}
    assert {"background_gap_map_at_r", "map_at_r_crossed"} <= evaluation.background.keys()
    assert "264 samples of original, mixed-same" in " ".join(capsys.readouterr().err.split())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parts = re.findall(r'<section id="(\w+)"', page)
    assert parts == ["gap", "results", "samples", "neighbours", "maps", "morphs", "run"]
    assert len(re.findall(r'id="results-table-\d"', page)) == 1
    assert "Retrieval in percent, of classes that were not trained on" in page
    assert "Bars: percentage points of MAP@R." in page
    assert "linear probe" not in page
    assert "other 3" in page
    Page(page)


@pytest.mark.parametrize("swaps", [True, False])
def test_of_classes_that_were_not_trained_on_neighbours_are_shown(tmp_path, picture_data, swaps):
    data = picture_data(classes=8, swaps=swaps)
    names = tuple(f"trained {label}" for label in range(8))
    data.train.schema = replace(data.train.schema, classes=names)
    data = Dataset(data.train, data.tests, labelled=data.train)
    audit_encoders(
        {"mean": lambda images: images.float().mean(2).flatten(1)}, data, out=tmp_path, judging=Judging(device="cpu")
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="neighbours"') :].partition("</section>")[0]
    assert len(re.findall(r'alt="query: class \d, sample \d+"', section)) == 6
    hits, misses = section.count("same class:</span>"), section.count("other class:</span>")
    assert hits + misses == 6 * 5
    assert f"{hits} of 30 neighbours are of their query's class" in " ".join(section.split())
    assert hits > 0
    assert "trained" not in section
    assert "Retrieval in percent, of classes that were not trained on" in page
