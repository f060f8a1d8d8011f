"""`torchrun --nproc-per-node 2` learns what one process learns at the same global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training import distributed_runs
from training.distributed_runs import RUNS
from training.toy import metrics

# Weights are in float64. Where a loss is taken in float32 (supervised), its rounding shows; where cosines are scaled by
# 100 (dcml), that of float64 does.
TOLERANCE = {"supervised, one update": 1e-7, "supervised, augmented": 1e-6, "dcml": 1e-9}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*command, str(Path(distributed_runs.__file__)), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert "FutureWarning" not in done.stderr, done.stderr[-6000:]
    two = [torch.load(out / f"weights-{rank}.pt", weights_only=True) for rank in range(2)]
    one = tmp_path_factory.mktemp("one")
    return distributed_runs.run_all(one), two, one, out


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_learns(weights, name):
    one, two, *_ = weights
    for rank in two:
        assert rank[name].keys() == one[name].keys()
        for key, value in one[name].items():
            tolerance = TOLERANCE.get(name, 1e-11)
            torch.testing.assert_close(rank[name][key], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "random"])
def test_they_learn_something(weights, name):
    start = RUNS[name][0]().encoder.state_dict()
    learnt = {key: weights[0][name][f"encoder.{key}"] for key in start if key.endswith("weight")}
    assert any(not torch.allclose(value, start[key], atol=1e-5) for key, value in learnt.items())


def test_one_of_two_processes_writes_the_run_folder(weights):
    *_, one, two = weights
    for name in RUNS:
        files = [{path.relative_to(out).as_posix() for path in (out / name).rglob("*")} for out in (one, two)]
        assert files[0] == files[1]
        steps = [[(row["step"], row["phase"], row["epoch"]) for row in metrics(out / name)] for out in (one, two)]
        assert steps[0] == steps[1]
    assert "2 processes on cpu" in (two / "simclr" / "log.txt").read_text()
    assert (two / "simclr" / "log.txt").read_text().count("training simclr") == 1
