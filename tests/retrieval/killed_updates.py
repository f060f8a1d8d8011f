"""Kill updates of an index at every step, each in a process of its own.

python -m tests.retrieval.killed_updates FOLDER

A child process is forked for each step, which is cheap; the parent uses one thread, so that forking is safe. Prints one
line a killed update: its name, the step, the number of items that the index holds then, and the files that the next
update leaves.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from unconfound import files, index, open_index
from unconfound.data.load import load_dataset  # noqa: F401  (imported before the first fork)

Update = Callable[[Path], object]


def main(room: Path) -> None:
    torch.set_num_threads(1)
    files._sync = lambda path: None  # for power cuts; a kill loses nothing that was written
    run, first, second = room / "run", room / "first.npy", room / "second.npy"
    updates: dict[str, Update] = {
        "make": lambda out: index(run, first, out=out),
        "add": lambda out: index(run, second, out=out, add=True),
        "remove": lambda out: index(out=out, remove=[f"{first}:0"]),
        "overwrite": lambda out: index(run, second, out=out, overwrite=True),
    }
    for name, update in updates.items():
        step = 0
        while True:
            out = room / f"{name}-{step}"
            if name != "make":
                index(run, first, out=out)
            if not killed(update, out, step):
                break
            held = len(open_index(out)) if (out / "index.json").is_file() else 0
            # What was interrupted is done again: of the same index, or of the one that the kill left.
            updates["overwrite"](out)
            opened = open_index(out)
            left = sorted(path.name.partition("-")[0] for path in out.iterdir())
            print(name, step, held, len(opened), *left)
            shutil.rmtree(out)
            step += 1


def killed(update: Update, out: Path, step: int) -> bool:
    """Run an update in a child that is killed before the `step`th file is renamed or removed; say whether it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def deadly(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return call

        for owner, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            setattr(owner, name, deadly(getattr(owner, name)))
        update(out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the update failed at step {step}")
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
