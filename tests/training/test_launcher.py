"""One of several processes that a launcher started without torchrun is refused; one process in a job is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from comparison.runs import words, write_table

from unconfound.cli import main
from unconfound.training import TrainingOptions
from unconfound.training.hardware import make_fabric
from unconfound.training.launcher import LAUNCHERS, WORLD_SIZE, check_launcher

# What SLURM sets in the script of `sbatch --ntasks=4`, in which this process was started without srun.
BATCH_SCRIPT = {
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NAME": "train",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_NODELIST": "node[1-2]",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_NPROCS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "node[1-2]", "SLURM_STEP_NUM_NODES": "2"}
SRUN = [
    BATCH_SCRIPT | STEP | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in "01"
]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SLURM_", "OMPI_", "PMI_", "MV2_")) or name in (WORLD_SIZE, "RANK", "LOCAL_WORLD_SIZE"):
            monkeypatch.delenv(name)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("variables", SRUN, ids=["rank 0", "rank 1"])
def test_tasks_of_srun_are_refused_in_one_line_before_anything_is_written(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_all(monkeypatch, variables)
    table, out = write_table(tmp_path / "table.csv"), tmp_path / "out"
    fit = ["fit", "supervised", "--data", str(table), "--label", "income", "--out", str(out)]
    for command in (fit, words(table, out, "random")):
        assert main(command) == 2
        error = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        assert len(error) == 1
        assert "srun started 2 processes (SLURM_STEP_NUM_TASKS)" in error[0]
        assert "srun --ntasks-per-node=1 torchrun --nnodes=$SLURM_NNODES" in error[0]
        assert "WORLD_SIZE=1" in error[0]
        assert not out.exists()


@pytest.mark.parametrize("variable", LAUNCHERS)
def test_each_launcher(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    check_launcher()
    monkeypatch.setenv(variable, "3")
    with pytest.raises(ValueError, match=rf"{LAUNCHERS[variable]} started 3 processes .*torchrun"):
        check_launcher()
    # What torchrun started below it, and whoever says that each is on its own.
    monkeypatch.setenv(WORLD_SIZE, "1")
    check_launcher()


@pytest.mark.parametrize(
    "variables",
    [
        BATCH_SCRIPT,
        BATCH_SCRIPT | {"SLURM_JOB_NAME": "interactive"},
        BATCH_SCRIPT | STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"},
        SRUN[1] | {WORLD_SIZE: "1"},
    ],
    ids=["in the script", "in a shell", "srun --ntasks=1", "on its own"],
)
def test_one_process_in_a_job_trains_alone(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to choose, Fabric refuses the first: "You set `--ntasks=4` in your SLURM bash script"."""
    set_all(monkeypatch, variables)
    fabric = make_fabric(TrainingOptions(device="cpu", precision="32"), phases=1)
    assert (fabric.world_size, fabric.is_global_zero) == (1, True)
