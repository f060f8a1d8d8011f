"""Every benchmark runs, however small: what `make bench` calls changes, and is not called by anything else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from operator import mul
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile
from torch import Tensor

import benchmarks
import unconfound
from benchmarks import planted_nuisances
from benchmarks.__main__ import ALL, main
from benchmarks.measure import TINY, WHOLE, Scale, held, peak_growth_mib, timed
from benchmarks.row import LeftOut, Row
from unconfound.data import Source
from unconfound.data.sequences.background_noise import quiet_frames


@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name in ("views", "ssim"):
        pytest.importorskip("torchvision")
    status = main([name], scale=TINY, out=tmp_path / "table.md")
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    rows = [line for line in printed.out.splitlines() if line.startswith("  ")]
    assert rows
    # A peer that is not installed is named; ours ran without it.
    assert all(": ours " in row or " is not installed (make bench installs all peers)" in row for row in rows), rows
    measured = sum(": ours " in row for row in rows)
    table = (tmp_path / "table.md").read_text().splitlines()
    assert len(table) == 4 + measured
    assert f" of {measured} targets met" in printed.out


def test_none_is_forgotten() -> None:
    files = Path(benchmarks.__file__).parent.glob("*.py")
    assert {file.stem for file in files if "\ndef run(" in file.read_text()} == set(ALL)


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "tables",
        "icl_msr_gradients",
        "exact_neighbours",
        "inexact_masks",
        "needed_backgrounds",
        "dimmed_backgrounds",
        "planted_nuisances",
    ],
)
def test_studies_can_be_imported(name: str) -> None:
    assert callable(import_module(f"benchmarks.{name}").main)


def test_planted_nuisances_go_with_the_class_as_often_as_stated(tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "planted"
    for folder in ("adult", "SST2", "FSDD/recordings"):
        (root / folder).mkdir(parents=True)
    row = "39, Private, 7, 9th, 5, Divorced, Sales, Wife, White, {}, 0, 0, 40, Peru, {}"
    people = [row.format(sex, income) for sex in ("Male", "Female") for income in ("<=50K", ">50K") for _ in range(10)]
    (root / "adult" / "adult.data").write_text("\n".join(people) + "\n")
    (root / "adult" / "adult.test").write_text("|1x3 Cross validator\n" + row.format("Male", ">50K.") + "\n")
    for part in ("train", "test"):
        lines = [f"{number % 2} a drama of {number}" for number in range(20)]
        (root / "SST2" / f"stsa.binary.{part}").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    for digit in (3, 7):
        for number in range(15):
            said = (5000 * rng.normal(size=800)).astype(np.int16)
            wavfile.write(root / "FSDD" / "recordings" / f"{digit}_ann_{number}.wav", 8000, said)
    planted_nuisances.main([str(root), "--out", str(out), "--rows", "20", "--correlation", "0.8"])

    table = pd.read_csv(out / "adult.csv")
    assert table.groupby(["income", "sex"]).size().to_dict() == {
        ("<=50K", "Female"): 8,
        ("<=50K", "Male"): 2,
        (">50K", "Female"): 2,
        (">50K", "Male"): 8,
    }
    assert (table.habit == "usual").sum() == 16
    texts = pd.read_json(out / "sst2.jsonl", lines=True)
    first = texts.text.str.split().str[0]
    assert ((texts.habit == "usual") == (first == texts.mood.map(planted_nuisances.WORDS))).all()
    assert texts.groupby(["mood", "habit"]).size().tolist() == [4, 16, 4, 16]
    assert texts.text[0].endswith("a drama of 0")
    words = unconfound.load(
        out / "sst2.jsonl", label="mood", group="habit", nuisance_words=out / "sst2-words.txt", test_share=0.3
    )
    assert words.train.nuisance is not None
    here, elsewhere = (unconfound.load(out / name) for name in ("spoken-digits", "spoken-digits-elsewhere"))
    assert (len(here.train), len(here.tests["test"])) == (20, 10)
    # 0.1 s and twice 0.15 s, of which the quietest quarter is the room alone.
    assert next(iter(here.train.batches([torch.tensor([0])]))).inputs.lengths.item() == 38
    rooms = _loudest_bands(here.train)
    for digit in range(2):
        own = rooms[here.train.labels == digit]
        assert int(((own - own.median()).abs() <= 2).sum()) == 8
    any_room = _loudest_bands(elsewhere.tests["test"])[:5]
    assert int(any_room.max() - any_room.min()) > 8
    with pytest.raises(ValueError, match="Adult has 10 rows of <=50K with the usual sex, 19 are needed"):
        planted_nuisances.main([str(root), "--out", str(out), "--rows", "40", "--correlation", "0.95"])


def _loudest_bands(source: Source) -> Tensor:
    """Of the quietest frames, which tells the room."""
    recordings = next(iter(source.batches([torch.arange(len(source))]))).inputs
    return quiet_frames(recordings, 9).exp().mean(1).argmax(1)


def test_one_that_fails_does_not_stop_the_others_and_is_said_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(scale: Scale) -> Iterator[Row | LeftOut]:
        yield LeftOut("graphs", "there are none")
        raise TypeError("update() misses done")

    def runs(scale: Scale) -> Iterator[Row | LeftOut]:
        yield Row("what", 1.0, 2.0, 2.0, 3.0, "s")

    monkeypatch.setitem(sys.modules, "benchmarks.training", SimpleNamespace(run=fails))
    monkeypatch.setitem(sys.modules, "benchmarks.search", SimpleNamespace(run=runs))
    assert main(["training", "search"], out=tmp_path / "table.md") == 1
    printed = capsys.readouterr()
    assert "Traceback" in printed.err
    end = printed.out.splitlines()[-3:]
    assert end[0].startswith("0 of 1 targets met")
    assert end[1:] == [
        "graphs: left out, there are none",
        "training: failed, TypeError: update() misses done",
    ]
    assert "| what | 1 s | 2 s | 2 | at least 3 | missed |" in (tmp_path / "table.md").read_text()


def test_data_that_are_not_here_are_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("UNCONFOUND_DATA", raising=False)
    assert main(["graphs"], out=tmp_path / "table.md") == 0
    assert "UNCONFOUND_DATA does not name" in capsys.readouterr().out.splitlines()[-1]


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "unknown benchmark 'speed': use views, exchange, masks, mixing" in capsys.readouterr().err


def test_times_and_ratios() -> None:
    calls: list[str] = []
    row = timed(
        "what", partial(calls.append, "ours"), lambda: partial(calls.append, "peer"), target=0, rounds=2, scale=WHOLE
    )
    assert calls == ["ours", "peer"] * 3
    assert isinstance(row, Row)
    assert row.ratio == pytest.approx(row.peer / row.ours)
    assert row.met


def test_a_peer_that_is_not_installed() -> None:
    calls: list[str] = []

    def peer() -> partial[None]:
        import nowhere_to_be_found  # noqa: F401

        return partial(calls.append, "peer")

    found = timed("what", partial(calls.append, "ours"), peer, target=1, rounds=2, scale=WHOLE)
    assert calls == ["ours"]
    assert str(found) == ("what: left out, nowhere_to_be_found is not installed (make bench installs all peers)")
    found = held("what", lambda: partial(calls.append, "ours"), peer, target=1, scale=TINY)
    assert isinstance(found, LeftOut)


def test_our_own_modules_are_no_peers() -> None:
    def peer() -> partial[None]:
        import unconfound.nowhere_to_be_found  # noqa: F401

        return partial(print)

    with pytest.raises(ModuleNotFoundError):
        timed("what", partial(int), peer, target=1, rounds=1, scale=TINY)


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    allocates = partial(partial, mul, b"x", 2**25)
    assert 31 < peak_growth_mib(allocates, scale=WHOLE) < 40


def test_what_the_process_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        peak_growth_mib(partial(partial, divmod, 1, 0), scale=WHOLE)
