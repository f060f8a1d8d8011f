"""Names that come from data are shown as they are written: nothing of them is read as markup or obeyed."""

from __future__ import annotations

import io
import re

import pytest
import rich.table
from hypothesis import given
from hypothesis import strategies as st

import unconfound
from unconfound.cli import main
from unconfound.evaluation.result_table import Column, Row, Table, TableCell, terminal_table
from unconfound.progress import Bars, PlainConsole
from unconfound.visible import visible

NAMES = st.text(min_size=1, max_size=80) | st.sampled_from(
    ["rate [/min]", "x[red]y", "[/]", "g[bold]", "[link=a]b", ":smile:", "a\x1b[2Jb", "\x07", "[[", "\\[a]", "c" * 3000]
)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@given(NAMES)
def test_a_line_is_printed_as_it_is(name: str) -> None:
    text = io.StringIO()
    PlainConsole(file=text, soft_wrap=True).print(f"the column {name} is dropped")
    assert text.getvalue() == f"the column {visible(name)} is dropped\n"
    assert not CONTROL.search(text.getvalue())


@given(NAMES)
def test_a_bar_says_the_name_as_it_is(name: str) -> None:
    bars = Bars()
    (described, *_) = bars.columns
    with bars:
        bars.add_task(name, total=1)
        assert described.render(bars.tasks[0]).plain == visible(name)  # type: ignore[attr-defined]


@given(NAMES)
def test_tables_show_names_as_they_are(name: str) -> None:
    table = terminal_table(Table(name, name, (Column("a"),), (Row(name, (TableCell(name, second=name),)),)))
    assert isinstance(table, rich.table.Table)
    text = io.StringIO()
    PlainConsole(file=text, width=10_000).print(table)
    assert not CONTROL.search(text.getvalue())
    for line in filter(str.strip, visible(name).split("\n")):
        assert line.strip() in text.getvalue()


def test_only_control_characters_are_changed() -> None:
    assert visible("é\u202f中 [/x]\n\u200d") == "é\u202f中 [/x]\n\u200d"
    assert visible("\x1b[31m\ta\x9b") == "\\x1b[31m\\ta\\x9b"


def test_an_error_names_a_value_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a\x1b[2J[/b]"]) == 2
    said = capsys.readouterr().err
    assert "[/b]" in said
    assert not CONTROL.search(said)


def test_columns_with_brackets_through_fit_and_embed(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    table, run = tmp_path / "x[red]y.csv", tmp_path / "run[bold]"
    rows = "".join(f"r{row},{row % 7 or ''},{row % 3},{'ab'[row % 2]}\n" for row in range(40))
    table.write_text(f"name,rate [/min],size [m],class [/]\n{rows}")
    unconfound.fit("random", data=str(table), label="class [/]", out=run)
    shown = capsys.readouterr().err
    assert "x[red]y" in shown
    assert "rate [/min]" in shown  # has missing values, which is said
    assert str(run) in shown
    assert main(["embed", str(run), str(table), "--out", str(tmp_path / "out[/].parquet")]) == 0
