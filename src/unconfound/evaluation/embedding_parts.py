"""Embeddings on their way to a file: parts of bounded size in a folder beside it, each there whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from unconfound.documents import one_line, read_sealed, sealed
from unconfound.files import atomic, write_text
from unconfound.outputs import check_output_file, check_output_folder, entries, remove_half_written

SUFFIXES = (".parquet", ".npy")
# Says what the parts are of, and marks the folder as ours.
PLAN = "embedding.json"
PARTS = "part-*.npy"
FORMAT = 1
# A part has at most so many batches and, where a batch is smaller, so many bytes: what a kill loses, and what is held.
PART_BATCHES, PART_BYTES = 16, 2**24


@dataclass(frozen=True)
class Part:
    """Consecutive samples of a split.

    Args:
        number: of the part, over all splits.
        split: of its samples.
        first: position of its first sample in the split.
        stop: position behind its last sample.
    """

    number: int
    split: str
    first: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"part-{self.number:06d}.npy"


def parts_of(samples: Mapping[str, int], *, features: int, batch_size: int) -> list[Part]:
    """Divide splits into parts of whole batches, so that the batches are the same whoever embeds which part.

    Args:
        samples: number of each split.
        features: width of an embedding.
        batch_size: samples of a batch.
    """
    batches = min(PART_BATCHES, PART_BYTES // (4 * features * batch_size))
    rows = batch_size * max(1, batches)
    ranges = [(split, first, min(first + rows, of)) for split, of in samples.items() for first in range(0, of, rows)]
    return [Part(number, *each) for number, each in enumerate(ranges)]


@dataclass(frozen=True)
class Output:
    """A file to write by way of parts.

    Args:
        path: the file, .parquet or .npy.
        resume: go on with the parts that are there, or start where there are none.
        overwrite: remove the parts that are there, and replace the file at the end.
    """

    path: Path
    resume: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the parts."""
        return self.path.with_name(f"{self.path.name}.parts")

    def check(self) -> None:
        """Refuse a file that is there, or parts that are neither to be resumed nor overwritten.

        Raises:
            ValueError: there is such a file or folder, or the file would be of another kind.
        """
        # Who began the parts was allowed to write the file, which a kill may have left beside them.
        begun = self.resume and bool(entries(self.folder))
        check_output_file(self.path, suffixes=SUFFIXES, overwrite=self.overwrite or begun)
        check_output_folder(
            self.folder,
            kind="half-finished embedding",
            markers=(PLAN,),
            resume=self.resume,
            overwrite=self.overwrite,
            begun=(PLAN,),  # without a part nothing would be lost
        )

    def start(self, plan: Mapping[str, Any]) -> None:
        """Write what the parts are of; parts that go on must be of the same.

        Args:
            plan: all that the embeddings depend on, as JSON values.

        Raises:
            ValueError: the parts that are there are of something else, or their plan is damaged.
        """
        if self.overwrite:
            self._remove_parts()
        remove_half_written(self.folder)
        path = self.folder / PLAN
        if not self.overwrite and any(self.folder.glob(PARTS)):
            before = read_sealed(path, format=FORMAT, remedy="start anew with --overwrite")
            if changed := [
                _changed(name, before.get(name), plan[name]) for name in plan if before.get(name) != plan[name]
            ]:
                raise ValueError(
                    f"{self.folder} was started with {', '.join(changed)}: resume with the same run, data and options, "
                    "or start anew with --overwrite"
                )
        write_text(path, json.dumps(sealed({"format": FORMAT, **plan}), indent=2) + "\n")

    def has(self, part: Part) -> bool:
        """Return whether a part is written."""
        return (self.folder / part.file).is_file()

    def write(self, part: Part, rows: Float32[np.ndarray, "rows features"]) -> None:
        """Write a part."""
        with atomic(self.folder / part.file) as temporary:
            np.save(temporary, rows)

    def read(self, part: Part, *, features: int) -> Float32[np.ndarray, "rows features"]:
        """Read a part.

        Raises:
            FileNotFoundError, OSError: it cannot be read.
            ValueError: the file is damaged.
        """
        path = self.folder / part.file
        remedy = "remove it and go on with --resume"
        try:
            rows: np.ndarray = np.load(path, allow_pickle=False)
        except OSError:
            raise
        except Exception as error:  # what damage to the head of the file raises depends on where it is
            raise ValueError(f"{path} is damaged ({one_line(error)}): {remedy}") from error
        if not isinstance(rows, np.ndarray) or rows.dtype != np.float32 or rows.shape != (len(part), features):
            raise ValueError(f"{path} is damaged: it does not hold float32 of {(len(part), features)}: {remedy}")
        return rows

    def finish(self) -> None:
        """Remove the parts and their folder."""
        self._remove_parts()
        shutil.rmtree(self.folder)

    def _remove_parts(self) -> None:
        # The plan stays to the last, so that what a kill leaves is known.
        for path in self.folder.glob(PARTS):
            path.unlink()


def _changed(name: str, before: object, now: object) -> str:
    """Say what another embedding had; checksums say nothing to a user."""
    shown = f" {before}, not {now}" if len(f"{before}{now}") < 100 else ""
    return f"{name.replace('_', ' ')}{shown}" if shown else f"another {name.replace('_', ' ')}"
