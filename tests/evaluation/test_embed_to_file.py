"""Rows come to a file as they are embedded: whole after a kill at any moment, by one process as by two."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import two_processes
from torch import Tensor, nn

from unconfound.data import Batch, MemorySource, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.evaluation import embed_to_file as module
from unconfound.evaluation.embed import embed
from unconfound.evaluation.embed_to_file import embed_to_file
from unconfound.evaluation.embedding_parts import PLAN, Output
from unconfound.lock import FolderLock
from unconfound.options.embedding import EmbeddingOptions
from unconfound.progress import Bars

OPTIONS = EmbeddingOptions(batch_size=3, device="cpu")


class Doubled(nn.Module):
    """An encoder of rows; its answers depend on the batch, so that other batches show."""

    features = 2

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([2 * inputs[:, 0], inputs.sum(1) + len(inputs)], 1)


class MeanToken(nn.Module):
    features = 1

    def forward(self, inputs: Any) -> Tensor:
        return (inputs.values * inputs.mask()).sum(1, keepdim=True) / inputs.lengths[:, None]


def _rows(samples: int, *, seed: int = 0) -> MemorySource:
    generator = torch.Generator().manual_seed(seed)
    return MemorySource("rows", Schema("tables", (4,)), torch.randn(samples, 4, generator=generator))


SOURCES: dict[str, Source] = {"train": _rows(107), "test": _rows(50, seed=1)}  # 48 a part: 3 parts and 2


def _write(path: Path, **options: Any) -> bytes:
    """Write SOURCES, and return what stands in the file."""
    output = Output(path, options.pop("resume", False), options.pop("overwrite", False))
    given = {"encoder": Doubled(), "sources": SOURCES, "plan": {"data": "rows"}, "embedding": OPTIONS} | options
    embed_to_file(output, **given)
    assert not output.folder.exists()
    return path.read_bytes()


class Killed(BaseException):
    """Whatever ends the process."""


def _kill_at(number: int) -> Callable[[], None]:
    calls = iter(range(number))

    def count() -> None:
        if next(calls, None) is None:
            raise Killed

    return count


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_rows_stand_in_the_order_of_the_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    _write(path)
    expected = np.concatenate([embed(Doubled(), source, batch_size=3).features.numpy() for source in SOURCES.values()])
    found = np.load(path) if suffix == ".npy" else np.stack(pd.read_parquet(path)["embedding"])
    np.testing.assert_array_equal(found, expected)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_sequences_are_put_back_in_their_places(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 30, (200,), generator=generator)
    values = torch.randint(1, 9, (int(lengths.sum()),), generator=generator)
    base = SequenceSource("texts", Schema("text", (9,)), values, lengths)
    source = Subset(base, torch.randperm(200, generator=generator)[:150])
    asked: list[int] = []

    class Watched(MeanToken):
        def forward(self, inputs: Any) -> Tensor:
            asked.append(int(inputs.lengths.max() - inputs.lengths.min()))
            return super().forward(inputs)

    _write(tmp_path / "rows.npy", encoder=Watched(), sources={"train": source})
    expected = [embed(MeanToken(), Subset(source, torch.tensor([place]))).features[0, 0] for place in range(150)]
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy")[:, 0], expected, rtol=1e-6)
    assert np.mean(asked) < 4  # of up to 29: a batch is padded little


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_killed_at_any_moment_it_goes_on_to_the_same_file(tmp_path: Path, suffix: str) -> None:
    expected = _write(tmp_path / f"whole{suffix}")
    embedded: list[int] = []

    class Counting(Doubled):
        def forward(self, inputs: Tensor) -> Tensor:
            embedded.append(len(inputs))
            return super().forward(inputs)

    # 53 batches, and then 5 parts that become the file.
    for number in (0, 3, 15, 16, 35, 36, 52, 53, 57):
        path = tmp_path / f"{number}{suffix}"
        with pytest.raises(Killed):
            _write(path, encoder=Counting(), after_batch=_kill_at(number))
        assert not path.exists()
        assert Output(path).folder.is_dir()
        assert _write(path, encoder=Counting(), resume=True) == expected
        # No more than the rows of one part are embedded twice.
        assert 157 <= sum(embedded) <= 157 + 48
        embedded.clear()


def test_what_was_begun_is_left_alone_or_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FolderLock.__init__.__kwdefaults__, "patience", 0.0)
    path = tmp_path / "rows.npy"
    folder = tmp_path / "rows.npy.parts"
    with pytest.raises(Killed):
        _write(path, after_batch=_kill_at(20))
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    for options, said in (
        ({}, "rows.npy.parts holds another half-finished embedding: choose another --out, or give --resume"),
        ({"resume": True, "overwrite": True}, "give one of them"),
        ({"resume": True, "plan": {"data": "others"}}, "was started with data rows, not others: resume with the same"),
        ({"resume": True, "plan": {"data": "x" * 100}}, "was started with another data: resume"),
        ({"resume": True, "embedding": EmbeddingOptions(batch_size=4)}, "with batch size 3, not 4"),
        ({"resume": True, "sources": {"train": _rows(9)}}, "with samples {'train': 107, 'test': 50}, not {'train': 9}"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)) as refused:
            _write(path, **options)
        assert "\n" not in str(refused.value)
    with FolderLock(folder) as lock:
        lock.acquire()
        with pytest.raises(ValueError, match="another process is at work in"):
            _write(path, resume=True)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert _write(path, overwrite=True, plan={"data": "others"}) == _write(tmp_path / "whole.npy")


def test_what_ended_before_its_first_part_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    for resume in (False, True, False):
        with pytest.raises(Killed):
            _write(path, after_batch=_kill_at(3), resume=resume, plan={"data": "others"})
    assert _write(path) == _write(tmp_path / "whole.npy")


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    path.write_text("mine")
    for resume in (False, True):
        with pytest.raises(ValueError, match=r"rows.npy is there already"):
            _write(path, resume=resume)
    with pytest.raises(Killed):
        _write(path, overwrite=True, after_batch=_kill_at(20))
    assert path.read_text() == "mine"
    assert _write(path, resume=True) == _write(tmp_path / "whole.npy")
    folder = tmp_path / "other.npy.parts"
    folder.mkdir()
    (folder / "mine.txt").touch()
    with pytest.raises(ValueError, match=r"other.npy.parts holds files but no half-finished embedding"):
        _write(tmp_path / "other.npy", overwrite=True)
    with pytest.raises(ValueError, match=r"must end in .parquet or .npy"):
        _write(tmp_path / "rows.csv")


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00", None])
def test_a_damaged_part_or_plan_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path, folder = tmp_path / "rows.npy", tmp_path / "rows.npy.parts"
    with pytest.raises(Killed):
        _write(path, after_batch=_kill_at(20))
    part = folder / "part-000000.npy"
    whole = part.read_bytes()
    if damage is None:
        np.save(part, np.zeros((48, 3), np.float32))
    else:
        part.write_bytes(damage)
    with pytest.raises(ValueError, match=r"part-000000.npy is damaged.*: remove it and go on with --resume"):
        _write(path, resume=True)
    part.write_bytes(whole)
    plan = folder / PLAN
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"data": "others"}))
    with pytest.raises(ValueError, match=r"embedding.json is damaged .*start anew with --overwrite"):
        _write(path, resume=True)


def test_an_embedding_that_is_not_finite_is_named(tmp_path: Path) -> None:
    source = _rows(60)
    source.inputs[55, 0] = torch.nan
    source.names = [f"row {place}" for place in range(60)]
    with pytest.raises(
        ValueError, match=r"1 of 12 embeddings of rows are not finite, the first that of sample 55 \(row 55\)"
    ):
        _write(tmp_path / "rows.npy", sources={"train": source})
    with pytest.raises(ValueError, match="rows holds no samples"):
        _write(tmp_path / "none.npy", sources={"train": _rows(0)})
    assert not (tmp_path / "none.npy.parts").exists()


def test_one_bar_counts_all_splits_and_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _write(tmp_path / "rows.npy", after_batch=_kill_at(20))
    with Bars() as bars:
        _write(tmp_path / "rows.npy", resume=True, progress=bars)
        (task,) = bars.tasks
    assert (task.description, task.total, task.completed) == ("embed", 157, 157)
    assert task.fields["unit"] == "samples"


def test_memory_holds_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No list of all rows is kept: each part's rows are let go of before the next part is whole."""
    held: list[Any] = []
    write = Output.write

    def watched(self: Output, part: Any, rows: np.ndarray) -> None:
        held.append(weakref.ref(rows.base if rows.base is not None else rows))
        write(self, part, rows)

    monkeypatch.setattr(Output, "write", watched)
    _write(tmp_path / "rows.npy")
    assert len(held) == 5
    assert all(each() is None for each in held)


def _two(folder: Path) -> list[int]:
    seen: list[int] = []
    take = module._PartWriter.take

    def counted(self: Any, rows: Tensor, batch: Batch) -> None:
        seen.append(len(rows))
        take(self, rows, batch)

    module._PartWriter.take = counted  # type: ignore[method-assign]
    _write(folder / "rows.parquet", resume=True)
    _write(folder / "rows.npy")
    return seen


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "group").mkdir()
    expected = {suffix: _write(tmp_path / f"whole{suffix}") for suffix in (".npy", ".parquet")}
    with pytest.raises(Killed):
        _write(tmp_path / "out" / "rows.parquet", after_batch=_kill_at(20))
    first, second = two_processes.run(_two, tmp_path / "group", tmp_path / "out")
    for suffix, content in expected.items():
        assert (tmp_path / "out" / f"rows{suffix}").read_bytes() == content
    assert sum(first) + sum(second) == 157 - 48 + 157
    assert min(sum(first), sum(second)) > 80
