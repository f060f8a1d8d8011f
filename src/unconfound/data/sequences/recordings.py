"""Folders of sound files as data sets of log-mel frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unconfound.data.core.source import Dataset, Schema
from unconfound.data.core.subset import divided
from unconfound.data.divide.splits import check_test_share, with_test
from unconfound.data.files.folders import EXTENSIONS, read_layout
from unconfound.data.files.walking import walk
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.sequences.waveforms import FRAMES, SOUNDS, read_frames


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
    classes = layout.class_names()
    stored = {**FRAMES, "classes": list(classes), **(encoding or {})}
    frames = read_frames([path / file for file in layout.files], stored, max_length=max_length)
    notes = [*layout.notes, *frames.notes]
    known = tuple(stored["classes"])
    labels = layout.labels(known) if known else None
    if labels is not None and bool((labels < 0).any()):
        notes.append(
            f"{int((labels < 0).sum()):,} of {len(labels):,} recordings are of classes unknown in training (-1)"
        )
    whole = SequenceSource(
        path.name,
        Schema("series", (frames.values.shape[1],), known),
        frames.values,
        frames.lengths,
        labels=labels,
        names=layout.files,
    )
    dataset = divided(whole, layout.positions(), notes=notes, restore=frames.restore(stored, max_length))
    return dataset if len(layout.parts) > 1 else with_test(dataset, test_share, seed=seed)
