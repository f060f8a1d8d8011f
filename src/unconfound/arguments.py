"""What the commands take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro

from unconfound.options.data import DataOptions
from unconfound.options.encoders import EncoderOptions
from unconfound.options.training import Precision, TrainingOptions

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class FitArguments(Generic[Options]):
    """Train an encoder with one method; --recipe NAME gives other defaults."""

    out: Path | None = None
    """run folder; by default runs/METHOD"""
    resume: bool = False
    """go on with the run in --out, or start it"""
    overwrite: bool = False
    """remove the run in --out first"""
    data: DataOptions = field(default_factory=DataOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    # Their heading is "NAME options".
    options: Annotated[Options, tyro.conf.arg(name="method")]
    """How the method learns."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Measure the encoders of one or more runs: probe, neighbours, retrieval, groups, reliance on background."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """run folders"""
    out: Path | None = None
    """folder of evaluation.json and report.html; by default the run's, or the parent of the first of several"""
    neighbours: int = 5
    """training samples that vote in the nearest-neighbour classifier"""
    batch_size: int = 512
    """samples embedded at a time"""
    seed: int = 0
    """seed of the probe's validation split, or of the folds of a cross-validation"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps"""
    precision: Precision = "32"
    """precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, else 32"""
    data: DataOptions = field(default_factory=DataOptions)


@dataclass(frozen=True, kw_only=True)
class CompareArguments:
    """Train RECIPES with several seeds and set them against a baseline: unconfound compare RECIPE [RECIPE ...] [flags].

    A RECIPE is a method, a recipe or a TOML file of `unconfound list`; NAME=RECIPE gives its row another name. One
    RECIPE alone may be a comparison, which lists rows. Any flag of `unconfound fit METHOD` holds for every row.
    """

    seeds: tuple[int, ...] = ()
    """seeds of each row; by default those of the comparison, else 0 1 2"""
    baseline: str | None = None
    """row that the others are compared with; by default that of the comparison, else the first"""
    metric: tuple[str, ...] = ()
    """what tables show, on every test set; by default classifier, linear_probe, svm, background_gap, worst_group and
    others, as there are; of classes that were not trained on precision_at_1, r_precision and map_at_r"""
    out: Path = Path("runs/compare")
    """folder of the tables, report.html and a run folder ROW/seed-SEED per cell, below a folder SETTING with --over"""
    resume: bool = False
    """keep the cells that are done, go on with the one that was stopped, try failed ones again"""
    overwrite: bool = False
    """remove the runs of the comparison in --out first"""
    over: tuple[str, ...] = ()
    """settings to run all rows in, as KEY=VALUE,VALUE of a data option; by default those of the comparison"""
    select: str | None = None
    """how a row's candidates are chosen from: validation, "validation worst group", "validation mean of groups",
    "validation MAP@R" (of classes that are not trained on), leave-one-domain-out (of --data domains) or oracle; by
    default as the comparison says, else validation"""
    jobs: int = 1
    """runs side by side, each in a process with an equal share of the CPU cores; a GPU they share"""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {self.jobs}")


@dataclass(frozen=True, kw_only=True)
class EmbedArguments:
    """Write the embeddings of new data, read as the run's own were."""

    run: tyro.conf.Positional[Path]
    """run folder"""
    source: tyro.conf.Positional[str]
    """a folder, file or name of data of the kind that the encoder was trained on"""
    out: Path
    """.parquet (with names, labels and splits) or .npy (the embeddings alone)"""
    overwrite: bool = False
    """replace --out"""
    batch_size: int = 512
    """samples embedded at a time"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps"""
    precision: Precision = "32"
    """precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, else 32"""
    data_root: Path | None = None
    """where the files of a named data set lie"""


@dataclass(frozen=True, kw_only=True)
class ExportArguments:
    """Write the encoder of a run as one file that runs without unconfound: raw samples to embeddings and logits."""

    run: tyro.conf.Positional[Path]
    """run folder, of an encoder of images or of the rows of tables"""
    out: Path
    """.onnx (needs the extra `export`) or .pt2 (a program of torch.export)"""
    dtype: Literal["uint8", "float32"] | None = None
    """type of the inputs: uint8 (pixels from 0 to 255, the default of images) or float32 (pixels in [0, 1];
    for rows of a table, encoded as `unconfound embed` does, the only one)"""
    classifier: bool = True
    """give the logits of the classifier that was trained with the encoder, too, where there is one"""
    overwrite: bool = False
    """replace --out"""


@dataclass(frozen=True, kw_only=True)
class DemoArguments:
    """Train random, supervised and simclr on digits over photographs, and report how much each leans on the scene."""

    out: Path = Path("runs/demo")
    """folder of the runs, evaluation.json and report.html"""
    correlation: float = 0.9
    """share of the training digits that stand on their own class's scene; 0.1 is chance"""
    epochs: int | None = None
    """passes over the training data, of each training; by default as the demo's recipes say"""
    batch_size: int | None = None
    """images per update, of each training; by default as the demo's recipes say"""
    encoder: str | None = None
    """encoder of all three; by default a convnet of 16 to 128 channels"""
    seed: int = 0
    """seed of weights, order and views"""
    device: str = "auto"
    """auto (the best one here), cpu, cuda, cuda:N or mps"""
    precision: Precision = "auto"
    """precision of the trainings; auto is bf16 (mixed) where the hardware gains from it, else 32"""
    resume: bool = False
    """go on with a demo that was stopped"""
    overwrite: bool = False
    """remove an earlier demo in --out"""
