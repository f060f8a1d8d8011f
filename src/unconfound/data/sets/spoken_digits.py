"""The Free Spoken Digit Dataset: digits spoken by a few people."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from unconfound.data.core.source import Dataset, Schema
from unconfound.data.core.subset import divided
from unconfound.data.files.set_folder import published_folder
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.sequences.waveforms import FRAMES, read_frames
from unconfound.options.data_sets import PublicSet

SPOKEN_DIGITS = PublicSet(
    name="spoken-digits",
    modality="sequences",
    about="series: Free Spoken Digit Dataset, ten digits by six speakers",
    paper="Jackson et al., Free Spoken Digit Dataset, Zenodo 2018",
    source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    reader="sets.spoken_digits:spoken_digits",
    folders=("recordings", "FSDD/recordings"),
    counts={"recordings": 3_000},
)


def spoken_digits(root: Path | None, *, max_length: int = 256) -> Dataset:
    """Read the Free Spoken Digit Dataset with its official split: the recordings 0 to 4 of a speaker and digit test.

    The classes are the digits, the groups the speakers.

    Args:
        root: the folder that holds `FSDD/recordings`, or `recordings`, or that folder itself.
        max_length: frames (10 ms) of a recording that are read, at least 1.

    Raises:
        FileNotFoundError: no such folder, or no recording in it.
        ValueError: `root` is None; errors of files are those of `recordings`.
    """
    folder = published_folder(SPOKEN_DIGITS, root)
    names = [re.fullmatch(r"(\d)_([^_]+)_(\d+)\.wav", file.name) for file in sorted(folder.glob("*.wav"))]
    found = [name for name in names if name]
    if not found:
        raise FileNotFoundError(
            f"spoken-digits needs <digit>_<speaker>_<number>.wav in {folder}: nothing is downloaded, put them there"
        )
    digits = tuple("0123456789")
    stored = {**FRAMES, "classes": list(digits)}
    frames = read_frames([folder / name[0] for name in found], stored, max_length=max_length)
    speakers = sorted({name[2] for name in found})
    whole = SequenceSource(
        "spoken-digits",
        Schema("series", (frames.values.shape[1],), digits, tuple(f"speaker={speaker}" for speaker in speakers)),
        frames.values,
        frames.lengths,
        labels=torch.tensor([int(name[1]) for name in found]),
        groups=torch.tensor([speakers.index(name[2]) for name in found]),
        names=[name[0] for name in found],
    )
    tested = torch.tensor([int(name[3]) <= 4 for name in found])
    positions = {"train": (~tested).nonzero().squeeze(1), "test": tested.nonzero().squeeze(1)}
    return divided(whole, positions, notes=frames.notes, restore=frames.restore(stored, max_length))
