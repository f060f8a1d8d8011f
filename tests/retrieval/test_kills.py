"""An index survives a kill at any moment of an update."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.retrieval.conftest import save_run
from unconfound.data import Schema

ROOT = Path(__file__).parents[2]


def test_a_killed_update_leaves_the_index_as_it_was_or_as_it_was_to_be(tmp_path: Path) -> None:
    save_run(tmp_path / "run", schema=Schema("tables", (3,)), restore={"kind": "rows", "features": 3})
    rows = np.random.default_rng(0).standard_normal((9, 3))
    np.save(tmp_path / "first.npy", rows[:5])
    np.save(tmp_path / "second.npy", rows[5:])
    command = [sys.executable, "-m", "tests.retrieval.killed_updates", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    held: dict[str, list[int]] = {}
    for line in done.stdout.splitlines():
        name, _, items, after, *files = line.split()
        held.setdefault(name, []).append(int(items))
        assert int(after) == 4
        assert files == ["embeddings", "encoder", "index.json", "items"]
    before_and_after = {"make": (0, 5), "add": (5, 9), "remove": (5, 4), "overwrite": (5, 4)}
    assert held.keys() == before_and_after.keys()
    for name, (before, after) in before_and_after.items():
        first = held[name].index(after)
        assert held[name] == [before] * first + [after] * (len(held[name]) - first)
        assert first >= 3  # two files of a shard, then the manifest
