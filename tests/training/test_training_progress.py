from __future__ import annotations

import io

from rich.console import Console

from unconfound.training import training_progress as progress
from unconfound.training.training_progress import TrainingProgress


def _shown(monkeypatch, *, terminal, seconds, steps=4, **arguments):
    """What is printed by steps of 10 samples that take `seconds` each, by a clock of our own."""
    output, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(progress, "console", Console(file=output, force_terminal=terminal, soft_wrap=True, width=120))
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    asked = []
    with TrainingProgress(name="simclr", samples=100, epochs=2, **{"done": 0, **arguments}) as shown:
        for _ in range(steps):
            clock[0] += seconds
            shown.advance(10, epoch=0, loss=lambda: asked.append(1) or 1.25)
        speed = shown.speed
    return output.getvalue(), speed, len(asked)


def test_a_terminal_gets_a_bar_and_a_file_a_line_every_half_minute(monkeypatch):
    text, speed, asked = _shown(monkeypatch, terminal=True, seconds=1.0)
    assert "simclr" in text
    assert "samples/s" in text
    assert "left" in text
    assert (speed, asked) == (10.0, 0)
    text, speed, asked = _shown(monkeypatch, terminal=False, seconds=20.0)
    assert text.splitlines() == [
        "simclr: epoch 1 of 2, loss 1.250, 0 samples/s, 160 s left",
        "simclr: epoch 1 of 2, loss 1.250, 0 samples/s, 120 s left",
    ]
    assert (speed, asked) == (0.5, 2)


def test_what_was_done_before_a_kill_does_not_count_as_speed(monkeypatch):
    _, speed, _ = _shown(monkeypatch, terminal=False, seconds=2.0, done=60)
    assert speed == 5.0


def test_other_processes_are_silent(monkeypatch):
    for terminal in (True, False):
        text, *_ = _shown(monkeypatch, terminal=terminal, seconds=50.0, enabled=False)
        assert text == ""
