"""A run that is killed with SIGKILL, whenever and however often, ends as if it had never been."""

from __future__ import annotations

import random
import signal
import time

import pytest
import torch
from fresh_processes import forkserver

from training import killed_runs
from training.killed_runs import KINDS
from training.toy import checkpoint, metrics, same
from unconfound.encoders import load_encoder


@pytest.fixture(scope="module")
def context():
    return forkserver("training.killed_runs")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs, in this process."""
    out = tmp_path_factory.mktemp("whole")
    for name in KINDS:
        killed_runs.run(name, out / name)
    return out


def _killed(context, *arguments, **keywords):
    process = context.Process(target=killed_runs.run, args=arguments, kwargs=keywords)
    process.start()
    process.join(timeout=120)
    return process.exitcode


def _steps(run):
    return [(row["step"], row["phase"], row["loss"]) for row in metrics(run)]


def _assert_as_if_never_killed(run, whole):
    found, expected = checkpoint(run), checkpoint(whole)
    assert found["position"] == expected["position"]
    assert same(found["state"], expected["state"])
    assert same(dict(load_encoder(run).state_dict()), dict(load_encoder(whole).state_dict()))
    assert _steps(run) == _steps(whole)
    assert not list(run.rglob("*.partial"))
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.parametrize("name", KINDS)
def test_several_kills_in_a_row_leave_no_trace(context, whole, name, tmp_path):
    run = tmp_path / "run"
    last = int(_steps(whole / name)[-1][0])
    kills = [("half a checkpoint", 1), ("row", 3), ("half a row", 3), ("half a checkpoint", last - 2), ("row", last)]
    for number, (kill, step) in enumerate(kills):
        # Once there is a checkpoint, the weights that a process begins with must not matter.
        seed = 50 + number if number > 1 else 0
        assert _killed(context, name, run, kill=kill, step=step, seed=seed) == -signal.SIGKILL
        position = checkpoint(run)["position"]["step"] if (run / "checkpoint" / "state.pt").is_file() else 0
        assert position == max(0, step - 1)
        assert not (run / "encoder.json").exists()
    assert _killed(context, name, run, seed=99) == 0
    _assert_as_if_never_killed(run, whole / name)


@pytest.mark.parametrize("name", KINDS)
def test_kills_at_random_moments_leave_no_trace(context, whole, name, tmp_path):
    run, chance = tmp_path / "run", random.Random(name)
    for _ in range(3):
        process = context.Process(target=killed_runs.run, args=(name, run))
        process.start()
        begun = len(metrics(run)) if (run / "metrics.csv").is_file() else 0
        target = begun + chance.randint(1, 3)
        while process.is_alive() and not ((run / "metrics.csv").is_file() and len(metrics(run)) >= target):
            time.sleep(0.001)
        time.sleep(chance.random() * 0.005)
        process.kill()
        process.join()
    assert _killed(context, name, run) == 0
    _assert_as_if_never_killed(run, whole / name)


def test_the_whole_runs_learn_and_differ(whole):
    states = []
    for name in KINDS:
        weights = checkpoint(whole / name)["state"]["method"].items()
        states.append(next(weight for key, weight in weights if key.endswith("network.blocks.0.0.weight")))
    assert not any(torch.equal(states[0], other) for other in states[1:])
