"""Whether other processes run this command, too, and do not know of each other."""

from __future__ import annotations

import os

# What says how many processes a launcher started. SLURM_NTASKS is not among them: in the script of a batch job, and in
# what that starts without srun, it is the number that was reserved. A step is what one srun starts.
LAUNCHERS = {
    "SLURM_STEP_NUM_TASKS": "srun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "MV2_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpirun",
}
# What torchrun sets, and others that form one group of their processes.
WORLD_SIZE = "WORLD_SIZE"


def check_launcher() -> None:
    """Refuse to be one of several processes that would each train a model, where one of all is what was meant.

    Raises:
        ValueError: srun or mpirun started several without torchrun.
    """
    if WORLD_SIZE in os.environ:
        return
    for variable, launcher in LAUNCHERS.items():
        stated = os.environ.get(variable, "")
        if stated.isdecimal() and int(stated) > 1:
            raise ValueError(
                f"{launcher} started {stated} processes ({variable}), each of which would train a model of its own: "
                f"start one a machine, which starts the others ({_by_torchrun(launcher)}), or set {WORLD_SIZE}=1 where "
                "each has an --out of its own"
            )


def _by_torchrun(launcher: str) -> str:
    if launcher == "srun":
        return (
            "srun --ntasks-per-node=1 torchrun --nnodes=$SLURM_NNODES --nproc-per-node=gpu "
            "--rdzv-backend=c10d --rdzv-endpoint=FIRST_MACHINE:29500 --rdzv-id=$SLURM_JOB_ID -m unconfound fit ..."
        )
    return "torchrun --nproc-per-node=gpu -m unconfound fit ..."
