"""Folders of sound files as data sets of log-mel frames."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Schema, Source
from unconfound.data.core.subset import Subset
from unconfound.data.divide.splits import check_test_share, train_test_indices
from unconfound.data.files.folders import EXTENSIONS, FolderPart, read_layout
from unconfound.data.files.walking import walk
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.sequences.waveforms import FRAMES, SOUNDS, Frames, read_frames
from unconfound.data.sets.torchvision_sets import folder_inside
from unconfound.data.tables.targets import labelled_part


def has_recordings(path: Path) -> bool:
    """Say whether a folder is one of sounds: the first folder in it that has images or sound files has the latter."""
    for _, files in walk(str(path), "", set(), None):
        kinds = {Path(file).suffix.lower() for file in files}
        if not kinds.isdisjoint(SOUNDS | EXTENSIONS):
            return not kinds.isdisjoint(SOUNDS)
    return False


def recordings(
    path: Path,
    *,
    test_share: float = 0.2,
    seed: int = 0,
    max_length: int = 256,
    encoding: Mapping[str, Any] | None = None,
    unseen_classes: bool = False,
) -> Dataset:
    """Read a folder of sound files, laid out as `folders.read_layout` has it for images.

    `waveforms.read_waveform` says which files are read, `mel.log_mel` what a frame is. All have one sample rate. A
    recording shorter than a window is padded with silence; one without a sample is an error, as is a damaged one.

    Args:
        path: the folder.
        test_share: share of each class to test on where there is no test folder, in [0, 1).
        seed: for that split.
        max_length: frames of a recording that are read, from its start; at least 1. A frame is 10 ms.
        encoding: the "encoding" of an earlier `Dataset.restore`: the frames are then made as those were.
        unseen_classes: test folders may hold classes that the training folder lacks; every part then names all.

    Raises:
        ImportError: a file is no WAV file of plain samples, and soundfile is not installed.
        FileNotFoundError: there is no such folder.
        ValueError: it holds no recording or an unclear mixture, a file is damaged or empty, or two sample rates differ.
    """
    check_test_share(test_share)
    layout = read_layout(path, what="recording", extensions=SOUNDS, unseen_classes=unseen_classes)
    parts = {"train": layout.train, **layout.tests}
    files = list(chain.from_iterable(part.files for part in parts.values()))
    classes = sorted({name for part in parts.values() for name in part.classes or ()})
    stored = dict(encoding) if encoding else {**FRAMES, "classes": classes}
    frames = read_frames([path / file for file in files], stored, max_length=max_length)
    notes = [*layout.notes, *frames.notes]
    labels = _labels(list(parts.values()), stored["classes"], notes)
    whole = _source(path.name, frames, tuple(stored["classes"]), labels=labels, names=files)
    positions = list(torch.arange(len(files)).split([len(part.files) for part in parts.values()]))
    if not layout.tests and test_share > 0:
        positions = list(train_test_indices(len(files), labels, test_share, seed))
        notes.append(
            f"no test folder: {len(positions[1]):,} of {len(files):,} recordings, {test_share:.0%} of each class, "
            f"were drawn for the test (seed {seed})"
        )
    names = list(layout.tests) or ["test"]
    restore = _restore(stored, frames, max_length)
    return _dataset(whole, dict(zip(["train", *names], positions, strict=False)), notes=notes, restore=restore)


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
    if root is None:
        raise ValueError("spoken-digits is read from files: say which folder holds them (--data-root)")
    folder = root / "recordings" if (root / "recordings").is_dir() else folder_inside(root, "FSDD/recordings")
    names = [re.fullmatch(r"(\d)_([^_]+)_(\d+)\.wav", file.name) for file in sorted(folder.glob("*.wav"))]
    found = [name for name in names if name]
    if not found:
        raise FileNotFoundError(
            f"spoken-digits needs <digit>_<speaker>_<number>.wav in {folder}: nothing is downloaded, put them there"
        )
    stored = {**FRAMES, "classes": list("0123456789")}
    frames = read_frames([folder / name[0] for name in found], stored, max_length=max_length)
    speakers = sorted({name[2] for name in found})
    whole = _source(
        "spoken-digits",
        frames,
        tuple(stored["classes"]),
        labels=torch.tensor([int(name[1]) for name in found]),
        names=[name[0] for name in found],
        groups=torch.tensor([speakers.index(name[2]) for name in found]),
        group_names=tuple(f"speaker={speaker}" for speaker in speakers),
    )
    tested = torch.tensor([int(name[3]) <= 4 for name in found])
    positions = {"train": (~tested).nonzero().squeeze(1), "test": tested.nonzero().squeeze(1)}
    return _dataset(whole, positions, notes=frames.notes, restore=_restore(stored, frames, max_length))


def _labels(parts: Sequence[FolderPart], classes: Sequence[str], notes: list[str]) -> Int[Tensor, " recordings"] | None:
    given = [part.classes for part in parts if part.classes is not None]
    if not given or not classes:
        return None
    label_of = {name: label for label, name in enumerate(classes)}
    labels = torch.tensor([label_of.get(name, -1) for name in chain.from_iterable(given)])
    if (labels < 0).any():
        notes.append(
            f"{int((labels < 0).sum()):,} of {len(labels):,} recordings are of classes unknown in training (-1)"
        )
    return labels


def _source(
    name: str,
    frames: Frames,
    classes: tuple[str, ...],
    *,
    labels: Int[Tensor, " recordings"] | None,
    names: Sequence[str],
    groups: Int[Tensor, " recordings"] | None = None,
    group_names: tuple[str, ...] = (),
) -> SequenceSource:
    schema = Schema("series", (frames.values.shape[1],), classes, group_names)
    return SequenceSource(name, schema, frames.values, frames.lengths, labels=labels, groups=groups, names=names)


def _restore(stored: dict[str, Any], frames: Frames, max_length: int) -> dict[str, object]:
    encoding = stored | {"sample_rate": frames.sample_rate}
    return {"kind": "recordings", "max_length": max_length, "encoding": encoding}


def _dataset(
    whole: Source,
    positions: Mapping[str, Int[Tensor, " some"]],
    *,
    notes: Sequence[str],
    restore: dict[str, object],
) -> Dataset:
    train, *tests = (
        Subset(whole, part, name=whole.name if name == "train" else f"{whole.name} {name}")
        for name, part in positions.items()
    )
    train.notes = tuple(notes)
    return Dataset(
        train=train,
        tests={name: test for name, test in zip(list(positions)[1:], tests, strict=True) if len(test)},
        labelled=labelled_part(train),
        restore=restore,
    )
