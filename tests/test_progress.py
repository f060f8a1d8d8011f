"""What a user sees while a command works."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from unconfound import progress as module
from unconfound.data import MemorySource, Schema
from unconfound.evaluation.embed import embed
from unconfound.progress import Bars, PlainConsole, announced


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A pipe, to which `announced` writes at once."""
    text = io.StringIO()
    monkeypatch.setattr(module, "console", PlainConsole(file=text, soft_wrap=True))
    monkeypatch.setattr(module, "BETWEEN_LINES", 0.0)
    return text


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(module, "console", PlainConsole(file=text, force_terminal=True, width=100))
    return text


def _wait_for(text: io.StringIO, words: str) -> None:
    until = time.monotonic() + 60
    while words not in text.getvalue():
        assert time.monotonic() < until, text.getvalue()
        time.sleep(0.001)


def test_a_pipe_gets_no_more_than_a_line_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    text, clock = io.StringIO(), SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "console", PlainConsole(file=text, soft_wrap=True))
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    with Bars() as bars:
        task = bars.add_task("embed [cats]", total=4000)
        for _ in range(4):
            clock.now += 20
            bars.advance(task, 1000)
    assert text.getvalue().splitlines() == ["embed [cats]: 2,000 of 4,000", "embed [cats]: 4,000 of 4,000"]


def test_a_terminal_gets_a_bar_that_is_taken_away(terminal: io.StringIO) -> None:
    source = MemorySource("rows", Schema("tables", (4,)), torch.rand(10, 4))
    with Bars() as bars:
        embed(nn.Identity(), source, batch_size=2, progress=bars)
        bars.refresh()
    assert "embed rows" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line of the bar is erased


def test_nothing_is_drawn_before_the_first_task(terminal: io.StringIO) -> None:
    with Bars(first="reading cats"):
        assert not terminal.getvalue()
    assert not terminal.getvalue()


def test_what_takes_long_is_said(output: io.StringIO) -> None:
    with announced("reading [cats]"):
        _wait_for(output, "reading [cats] ...")
    with Bars(first="reading dogs"):
        _wait_for(output, "reading dogs ...")


def test_what_is_quick_is_not_said(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BETWEEN_LINES", 1e6)
    with announced("reading"):
        pass
    with Bars(first="reading") as bars:
        bars.advance(bars.add_task("embed", total=1))
    assert not output.getvalue()


def test_other_processes_are_silent(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with announced("reading"):
        time.sleep(0.05)
    assert not output.getvalue()


def test_functions_show_nothing_unless_they_are_asked(capfd: pytest.CaptureFixture[str]) -> None:
    embed(nn.Identity(), MemorySource("rows", Schema("tables", (4,)), torch.rand(10, 4)))
    assert capfd.readouterr() == ("", "")
