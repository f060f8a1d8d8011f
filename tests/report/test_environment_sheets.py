from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest
import torch

from unconfound.data import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.encoders import build_encoder, load_encoder
from unconfound.evaluation.judging import Judging
from unconfound.evaluation.partitions import margins
from unconfound.methods import DCML, Supervised
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.report import environment_tables, write_report
from unconfound.report.audit import audit_encoders
from unconfound.report.environment_sheets import SHOWN, environments_part, look_at_environments
from unconfound.training import TrainingOptions, fit


def _method(schema, **options):
    torch.manual_seed(0)
    encoder = build_encoder("convnet", schema, width=4, depth=2)
    return DCML(encoder, schema, DCMLOptions(**{"features": 5, "instances": 2, "augment": False} | options))


def _learnt(source: Source, held, *, environments=2, sure=3.0, **options):
    method = _method(source.schema, environments=environments, **options).eval()
    noise = torch.rand(len(source), environments, generator=torch.Generator().manual_seed(0))
    method.environment_logits = sure * torch.nn.functional.one_hot(held, environments) + noise
    return method


def test_sheets_show_what_has_the_highest_weight_and_some_of_the_rest(picture_data):
    source = picture_data(each=20).train
    held = source.groups % 2
    # So sure that many weights are the same number.
    method = _learnt(source, held, sure=60.0)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    part = look_at_environments(method, source)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    weights = torch.softmax(method.environment_logits.double(), 1)
    for number, sheet in enumerate(part.sheets):
        assert (sheet.number, sheet.held) == (number, int((held == number).sum()))
        assert sheet.weight == pytest.approx(float(weights[:, number].mean()))
        lead = method.environment_logits[:, number] - method.environment_logits[:, 1 - number]
        places = [int(sample.name.split()[1]) for sample, _ in sheet.highest]
        assert places == lead.argsort(descending=True)[:SHOWN].tolist()
        random = [int(sample.name.split()[1]) for sample, _ in sheet.random]
        assert len(set(random)) == min(SHOWN, sheet.held)
        assert set(held[random].tolist()) == {number}
        assert [weight for _, weight in sheet.random] == pytest.approx(weights[random, number].tolist())
    counted = f"{part.sheets[0].held} in environment 0 and {part.sheets[1].held} in environment 1"
    assert f"Of 80 training samples, {counted} have most of their weight" in part.sentences[0]


def test_where_all_weights_are_the_same_there_is_no_highest(picture_data):
    source = picture_data(each=20).train
    method = _learnt(source, source.labels % 2)
    method.environment_logits = 30.0 * (2 * torch.nn.functional.one_hot(source.labels % 2, 2) - 1)
    for number, sheet in enumerate(look_at_environments(method, source).sheets):
        assert sheet.highest == ()
        shown = [int(sample.name.split()[1]) for sample, _ in sheet.random]
        assert len(shown) == SHOWN
        assert shown != sorted(shown)
        assert set((source.labels[shown] % 2).tolist()) == {number}


def test_relations_are_with_all_that_is_known_and_with_the_margin(picture_data):
    source = picture_data(each=20).train
    method = _learnt(source, source.groups % 2)
    part = look_at_environments(method, source, batch_size=7)
    assert [each.partition.title for each in part.relations] == ["class", "scene", "group", "margin"]
    with torch.no_grad():
        found = margins(method.encoder(source.inputs), source.labels, method.loss.proxies)
    assert torch.equal(part.relations[-1].partition.of, (found < found.median()).long())
    assert "Environments follow scene (adjusted Rand index 1.00" in part.sentences[-1]
    table = environment_tables.relations(part)
    assert [row.name for row in table.rows] == ["class", "scene", "group", "margin"]
    assert [cell.text for cell in table.rows[1].cells][:3] == ["80", "2", "1.000"]
    assert table.rows[1].cells[5].interval == "other scene: environment 1"
    assert not any(cell.text.startswith("-0.000") for row in table.rows for cell in row.cells)
    counts = environment_tables.counts(part)
    assert [table.corner for table in counts] == ["class", "scene", "group", "margin"]
    by_scene = {row.name: [cell.text for cell in row.cells] for row in counts[1].rows}
    own, other = part.sheets[0].held, part.sheets[1].held
    assert by_scene == {"own scene": [str(own), "0", str(own)], "other scene": ["0", str(other), str(other)]}


def test_hard_samples_in_one_environment_are_called_that(picture_data):
    source = picture_data(each=30).train
    method = _learnt(source, source.labels % 2)
    with torch.no_grad():
        margin = margins(method.encoder(source.inputs), source.labels, method.loss.proxies)
    method = _learnt(source, (margin < margin.median()).long())
    assert (
        "Environment 1 contains the samples of low margin (AUC 1.00)"
        in look_at_environments(method, source).sentences[-1]
    )


def test_many_classes_are_cut_to_those_that_are_divided_least_evenly(picture_data):
    source = picture_data(classes=30, each=4, size=32).train
    held = torch.where(source.labels == 29, 1, torch.arange(120) // 30 % 2)
    part = look_at_environments(_learnt(source, held), source)
    table = environment_tables.counts(part)[0]
    assert len(table.rows) == 24
    assert (table.rows[0].name, table.rows[0].cells[1].text) == ("class 29", "4")
    assert "24 of 30" in table.title


@pytest.mark.parametrize("loss", ["cosface", "contrastive"])
def test_three_environments_one_of_them_empty(picture_data, loss):
    source = picture_data(each=10).train
    part = look_at_environments(_learnt(source, source.labels % 2, environments=3, loss=loss), source)
    assert [sheet.held for sheet in part.sheets] == [20, 20, 0]
    assert len(part.sheets[2].highest) == SHOWN
    assert part.sheets[2].random == ()
    assert "20 in environment 0, 20 in environment 1 and 0 in environment 2" in part.sentences[0]


@pytest.fixture
def runs(tmp_path, picture_data):
    data = picture_data()
    data = Dataset(data.train, data.tests, labelled=data.train)
    training = TrainingOptions(epochs=1, batch_size=8, device="cpu")
    fit(_method(data.train.schema), data, out=tmp_path / "dcml", training=training)
    torch.manual_seed(0)
    supervised = Supervised(build_encoder("convnet", data.train.schema, width=4, depth=2), data.train.schema)
    fit(supervised, data, out=tmp_path / "plain", training=training)
    return data, {name: tmp_path / name for name in ("dcml", "plain")}


def _page(data, runs, out):
    audit_encoders(
        {name: load_encoder(run) for name, run in runs.items()}, data, out=out, runs=runs, judging=Judging(device="cpu")
    )
    return (out / "report.html").read_text(encoding="utf-8")


def _section(page, name):
    return page[page.index(f'<section id="{name}"') :].partition("</section>")[0]


def test_the_report_has_environments_and_attention_where_a_run_has(runs, tmp_path):
    data, folders = runs
    page = _page(data, folders, tmp_path / "both")
    for name, title in (("environments", "Environments"), ("attention", "Attention")):
        assert f'<a href="#{name}">{title}</a>' in page
        assert re.findall(r"<h3>(.*?)</h3>", _section(page, name)) == ["dcml"]
    section = _section(page, "environments")
    assert "Of 24 training samples" in section
    assert section.count("<h4>Environment") == 2
    assert "adjusted Rand index" in section
    assert section.count('<ul class="strip">') >= 3
    assert _section(page, "attention").count("lit by the gate of environment 1") == 4


def test_what_cannot_be_shown_says_why(runs, tmp_path):
    data, folders = runs
    fewer = replace(data, labelled=Subset(data.train, torch.arange(10)))
    (said,) = environments_part(folders["dcml"], fewer).sentences
    assert said == (
        "The environments are not shown: they are those of 24 training samples, and squares has 10 with a label."
    )
    assert "has 0 with a label" in environments_part(folders["dcml"], replace(data, labelled=None)).sentences[0]
    shutil.rmtree(folders["dcml"] / "checkpoint")
    page = _page(data, folders, tmp_path / "gone")
    section = _section(page, "environments")
    assert "The environments cannot be shown" in section
    assert "no checkpoint any more" in section
    assert "Training divides" not in section
    # The gates are the encoder's own.
    assert "lit by the gate of environment 1" in _section(page, "attention")


def test_environments_that_were_given_and_a_single_one(tmp_path, picture_data):
    data = picture_data()
    data = Dataset(data.train, data.tests, labelled=data.train)
    training = TrainingOptions(epochs=1, batch_size=8, device="cpu")
    fit(_method(data.train.schema, environments_from="random"), data, out=tmp_path / "random", training=training)
    part = environments_part(tmp_path / "random", data)
    assert part.sentences[0] == "The environments were drawn at random, and not learnt."
    assert [sheet.held for sheet in part.sheets] == [12, 12]
    again = _method(data.train.schema, environments_file=tmp_path / "random" / "samples.parquet")
    fit(again, data, out=tmp_path / "again", training=training)
    said = environments_part(tmp_path / "again", data).sentences[0]
    assert said == "The environments were read from samples.parquet of an earlier run, and not learnt."
    fit(_method(data.train.schema, environments=1), data, out=tmp_path / "one", training=training)
    part = environments_part(tmp_path / "one", data)
    assert part.sentences == ("There is one environment, which holds all training samples.",)
    assert environment_tables.relations(part) is None
    assert environment_tables.counts(part) == []


def test_other_runs_have_none(runs, tmp_path, entry):
    data, folders = runs
    assert environments_part(folders["plain"], data) is None
    assert environments_part(None, data) is None
    path = write_report(tmp_path / "report.html", [entry("a", data)], data, title="t", command="c")
    page = path.read_text(encoding="utf-8")
    assert 'id="environments"' not in page
    assert 'id="attention"' not in page
