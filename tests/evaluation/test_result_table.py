"""One table, four writers: what each makes of a figure, a missing value, a second line and a link."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from unconfound.evaluation.csv_table import csv_text
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.measures import BACKGROUND, METRICS, Measure, column
from unconfound.evaluation.result_table import (
    Column,
    Link,
    Row,
    Table,
    TableCell,
    markdown_table,
    table_of_texts,
    terminal_table,
)
from unconfound.report.render import render


@pytest.fixture
def table():
    columns = (column("map_at_r"), Column("mean", second="minus a | b"), Column("seeds", align="left"))
    first = (TableCell(Figure(0.5, 0.4, 0.7, 9), mark="best"), TableCell("1.0", "+2.0"), TableCell("1"))
    link = TableCell("1", links=(Link("7", "a/seed-7/", "run folder of a"), Link("8", "", "")))
    return Table("t [bold]", "row", columns, (Row("a*", first), Row("b<i>", (TableCell(None), TableCell(None), link))))


def printed(table):
    console = Console(file=StringIO(), width=80)
    console.print(terminal_table(table))
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_a_terminal_shows_the_larger_side_of_an_interval_and_no_markup(table):
    lines = printed(table)
    assert lines[0] == ["t", "[bold]"]
    assert lines[1:3] == [["MAP@R"], ["row", "%", "mean", "seeds"]]
    assert lines[4:7] == [["a*", "50.0", "1.0", "1"], ["±20.0", "+2.0"], ["b<i>", "-", "-", "1"]]


def test_markdown_escapes_names_and_gives_second_lines_a_column(table):
    assert markdown_table(table).splitlines() == [
        "| row | MAP@R (%) | mean | minus a \\| b | seeds |",
        "| --- | ---: | ---: | ---: | --- |",
        "| a\\* | 50.0 [40.0, 70.0] | 1.0 | +2.0 | 1 |",
        "| b&lt;i> | - | - | - | [7](a/seed-7/) 8 |",
    ]


def test_a_page_has_intervals_marks_and_links(table):
    page = render("sections/cells.html", cells=table)
    assert '<td class="best">50.0 <span class="mark">best</span><span class="interval">[40.0, 70.0]</span></td>' in page
    assert "<td>—</td>" in page
    assert '<a href="a/seed-7/" title="run folder of a">7</a>' in page
    assert "b&lt;i&gt;" in page
    assert '<th scope="col">Row</th>' in page


def test_csv_has_the_values_as_they_are():
    rows = (Row("a", (TableCell(0.125), TableCell(None), TableCell(3))), Row("b", (TableCell(None),) * 3))
    table = Table("", "row", (Column("value"), Column("note"), Column("seed")), rows)
    assert csv_text(table).splitlines() == ["row,value,note,seed", "a,0.125,,3.0", "b,,,"]


def test_facts_side_by_side_have_dashes_where_one_says_nothing():
    table = table_of_texts("facts", {"a": {"epochs": "3"}, "b": {"seed": "1"}})
    assert [(row.name, [cell.text for cell in row.cells]) for row in table.rows] == [
        ("epochs", ["3", "-"]),
        ("seed", ["-", "1"]),
    ]
    assert table_of_texts("facts", {"a": {}}) is None


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_title_and_a_column(metric):
    measure = Measure(BACKGROUND, metric)
    assert measure.title.endswith(f" ({measure.unit})")
    assert measure.unit in ("%", "points")
    assert len(measure.short) <= len("gap, exchanged probe") or not METRICS[metric].short
    assert column(metric).header == f"{measure.short} ({measure.unit})"
