"""Mend an encoder in the ways that are asked for, and write the one that is kept into a new folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from unconfound.data import Dataset
from unconfound.encoders import read_card
from unconfound.evaluation.figures import Evaluation
from unconfound.mending.fine_tuned import FineTuning, fine_tune
from unconfound.mending.mend import Comparison, MendingOptions, compare_ways, measure
from unconfound.mending.mended_run import write_mended
from unconfound.mending.remedies import Way
from unconfound.mending.saved_remedy import check_remedy_folder
from unconfound.mending.subject import Subject, subject_of
from unconfound.progress import Bars, console
from unconfound.training.run_folder import RunFolder
from unconfound.training.stop import TrainingStopped


@dataclass(frozen=True, kw_only=True)
class Mending:
    """What is mended, how, and where the result goes.

    Args:
        encoder: a run folder, an .onnx file, the name of an encoder, or what a function is called.
        function: the encoder, where it is not named.
        pretrained: whether a named encoder gets its published weights, or the file of other ones.
        run_config: what the config.toml of the run says; None where the encoder is not that of a run.
        data: how a command reads the data again, as the section of a config.toml; empty where none can.
        ways: to choose from, those that change least first.
        gap: the largest gap that is good enough, a share.
        tuning: to train on from the classifier of "refit" instead of choosing a way, which must be among them.
        out: the new folder.
        overwrite: replace an earlier run or remedy there.
        options: how an encoder is mended.
    """

    encoder: str
    function: Callable[[Any], Any] | None = None
    pretrained: bool | Path = False
    run_config: dict[str, Any] | None = None
    data: dict[str, Any]
    ways: Sequence[Way]
    gap: float
    tuning: FineTuning | None = None
    out: Path
    overwrite: bool = False
    options: MendingOptions

    @property
    def rebuilt(self) -> bool:
        """Whether the encoder can be built again, so that a run is written."""
        return self.function is None and not self.encoder.endswith(".onnx")


@dataclass(frozen=True)
class Mended:
    """What `mend` did.

    Args:
        run: the new folder: a run, or a remedy (`load_remedy`) where the encoder is a function or an ONNX file.
        way: whose encoder and classifier it holds.
        reached: whether the gap of held-out training samples is at most the one that was asked for, with no fewer
            recognised with random backgrounds or nuisances than before.
        before: figures of the encoder as it was, on the test sets.
        after: figures on the test sets, by way.
        mask_note: how far estimated masks can be relied on; empty where they were given.
        nuisance: what was exchanged, as in "the column sex"; empty where that is the background.
        rebuilt: whether the folder is a run.
    """

    run: Path
    way: Way
    reached: bool
    before: Evaluation
    after: dict[Way, Evaluation]
    mask_note: str = ""
    nuisance: str = ""
    rebuilt: bool = True


def check_mending(mending: Mending) -> None:
    """Find the mistakes that need no data, before they are read.

    Raises:
        ValueError: an encoder that cannot be trained is to be, its run is damaged, or `out` holds something else.
        FileNotFoundError: the run holds no encoder.
    """
    if not mending.rebuilt:
        if mending.tuning is not None:
            raise ValueError(
                f"{mending.encoder} cannot be trained: fine-tune takes a run folder or the name of an encoder"
            )
        check_remedy_folder(mending.out, overwrite=mending.overwrite)
    else:
        RunFolder(mending.out, overwrite=mending.overwrite).check()
    if mending.run_config is not None:
        read_card(mending.encoder)


def mend_encoder(mending: Mending, dataset: Dataset) -> Mended:
    """Mend an encoder, and write what is kept.

    Args:
        mending: as `check_mending` accepts it.
        dataset: as `compare_ways` takes it.

    Raises:
        ValueError, FileNotFoundError: as `subject_of` and `compare_ways`.
        TrainingStopped: Ctrl-C or SIGTERM asked to stop; the new folder holds no encoder yet.
    """
    # For the weights of a named encoder that is untrained.
    torch.manual_seed(mending.options.seed)
    with Bars() as progress:
        subject = subject_of(
            mending.encoder,
            dataset,
            function=mending.function,
            pretrained=mending.pretrained,
            config=_config(mending),
        )
        comparison = compare_ways(
            subject.encoder, subject.classifier, dataset, mending.ways, options=mending.options, progress=progress
        )
    if mending.tuning is not None:
        way = _fine_tuned(mending, mending.tuning, subject, comparison, dataset)
        reached = comparison.reaches(way, mending.gap)
    else:
        way, reached = comparison.cheapest(mending.gap)
        write_mended(
            subject,
            comparison.remedies[way],
            out=mending.out,
            how={"way": way} | _words(mending.options),
            classes=dataset.train.schema.classes,
            overwrite=mending.overwrite,
        )
    return Mended(
        mending.out,
        way,
        reached,
        comparison.before.tested,
        {each: measured.tested for each, measured in comparison.after.items()},
        mask_note=dataset.mask_note,
        nuisance="" if dataset.train.nuisance is None else dataset.train.nuisance.words,
        rebuilt=mending.rebuilt,
    )


def _config(mending: Mending) -> dict[str, Any]:
    """Return what the config.toml of the mended run says: what that of the run does, or the name of the encoder."""
    data = {"data": mending.data} if mending.data else {}
    if mending.run_config is not None:
        return mending.run_config | data
    encoder: dict[str, Any] = {"encoder": mending.encoder}
    if mending.pretrained:
        encoder |= {"pretrained": True} if mending.pretrained is True else {"start": str(mending.pretrained)}
    return {"method": "random"} | data | {"encoder": encoder}


def _fine_tuned(
    mending: Mending, tuning: FineTuning, subject: Subject, comparison: Comparison, dataset: Dataset
) -> Way:
    """Train on from the refitted classifier, and add what that comes to."""
    options = mending.options
    try:
        fitted = fine_tune(
            subject,
            comparison.remedies["refit"].classifier,
            dataset,
            tuning,
            out=mending.out,
            how={"way": "fine-tune"} | _words(options) | _words(tuning),
            options=options,
            overwrite=mending.overwrite,
        )
    except TrainingStopped:
        console.print(f"{mending.out} holds no encoder yet: mend starts anew with --overwrite")
        raise
    assert fitted.classifier is not None
    comparison.after["fine-tune"] = measure("fine-tune", fitted.encoder, fitted.classifier, dataset, options=options)
    return "fine-tune"


def _words(options: MendingOptions | FineTuning) -> dict[str, Any]:
    """Return what a folder holds of the options: what was given, and decides what comes out."""
    return {key: value for key, value in asdict(options).items() if key != "embedding" and value is not None}
