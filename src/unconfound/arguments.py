"""The arguments of the commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro

from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt, Share
from unconfound.options.data import DataOptions
from unconfound.options.encoders import EncoderOptions
from unconfound.options.training import Precision, TrainingOptions

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class FitArguments(Generic[Options]):
    """Train an encoder with one method; --recipe NAME gives other defaults."""

    out: Path | None = None
    """Run folder; by default runs/METHOD."""
    resume: bool = False
    """Continue the run in --out, or start it if there is none."""
    overwrite: bool = False
    """Remove an earlier run in --out first."""
    data: DataOptions = field(default_factory=DataOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    # Their heading is "NAME options".
    options: Annotated[Options, tyro.conf.arg(name="method")]
    """How the method learns."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments(Checked):
    """Measure the encoders of one or more runs: probe, neighbours, retrieval, groups, reliance on background."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders to evaluate."""
    out: Path | None = None
    """Folder for evaluation.json and report.html; by default the run folder, or the parent of the first of several."""
    neighbours: PositiveInt = 5
    """Number of training samples that vote in the nearest-neighbour classifier."""
    batch_size: PositiveInt = 512
    """Number of samples to embed at a time."""
    seed: NonNegativeInt = 0
    """Seed of the validation split of the linear probe, or of the folds of its cross-validation."""
    device: str = "auto"
    """Device of the encoder: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "32"
    """Numerical precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    data: DataOptions = field(default_factory=DataOptions)


@dataclass(frozen=True, kw_only=True)
class CompareArguments(Checked):
    """Compare recipes over several seeds with a baseline: unconfound compare RECIPE [RECIPE ...] [flags].

    A RECIPE is a method, a recipe or a TOML file as in `unconfound list`; NAME=RECIPE gives its row another name. A
    single RECIPE may also be a comparison, which lists rows. Every flag of `unconfound fit METHOD` applies to all rows.
    """

    seeds: tuple[NonNegativeInt, ...] = ()
    """Seeds to train each row with; by default those of the comparison, else 0 1 2."""
    baseline: str | None = None
    """Row that the others are compared with; by default that of the comparison, else the first row."""
    metric: tuple[str, ...] = ()
    """Figures to show in the tables, for every test set; by default classifier, linear_probe, svm, background_gap,
    worst_group and others, if present, and precision_at_1, r_precision and map_at_r for unseen classes."""
    out: Path = Path("runs/compare")
    """Folder for the tables, report.html and one run folder ROW/seed-SEED per row and seed, which with --over are in
    one folder per setting."""
    resume: bool = False
    """Keep the runs that are finished, continue the one that was stopped, and repeat those that failed."""
    overwrite: bool = False
    """Remove the runs of an earlier comparison in --out first."""
    over: tuple[str, ...] = ()
    """Settings to run all rows in, as KEY=VALUE,VALUE of a data option; by default those of the comparison."""
    select: str | None = None
    """Figure to select among the candidates of a row by: validation, "validation worst group", "validation mean of
    groups", "validation MAP@R" (for unseen classes), leave-one-domain-out (for --data domains) or oracle; by default
    that of the comparison, else validation."""
    jobs: PositiveInt = 1
    """Number of runs at a time, each in a process with an equal share of the CPU cores; a GPU is shared by all of
    them."""


@dataclass(frozen=True, kw_only=True)
class EmbedArguments(Checked):
    """Write the embeddings of new data, which are read like the run's own data."""

    run: tyro.conf.Positional[Path]
    """Run folder of the encoder."""
    source: tyro.conf.Positional[str]
    """Folder, file or name of data of the kind that the encoder was trained on."""
    out: Path
    """File to write: .parquet (with names, labels and splits) or .npy (the embeddings alone)."""
    overwrite: bool = False
    """Replace an existing file."""
    batch_size: PositiveInt = 512
    """Number of samples to embed at a time."""
    device: str = "auto"
    """Device of the encoder: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "32"
    """Numerical precision of the encoder; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""


@dataclass(frozen=True, kw_only=True)
class ExportArguments(Checked):
    """Write the encoder of a run as one file that runs without unconfound: raw samples to embeddings and logits."""

    run: tyro.conf.Positional[Path]
    """Run folder of an encoder of images or of rows of tables."""
    out: Path
    """File to write: .onnx (needs the extra `export`) or .pt2 (a program of torch.export)."""
    dtype: Literal["uint8", "float32"] | None = None
    """Type of the inputs: uint8 (pixels from 0 to 255, the default for images) or float32 (pixels in [0, 1]; for rows
    of a table, encoded as by `unconfound embed`, the only choice)."""
    classifier: bool = True
    """Also return the logits of the classifier that was trained with the encoder, if there is one."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True, kw_only=True)
class DemoArguments(Checked):
    """Train random, supervised and simclr on digits over photographs, and report their reliance on the background."""

    out: Path = Path("runs/demo")
    """Folder for the runs, evaluation.json and report.html."""
    correlation: Share = 0.9
    """Share of the training digits that are placed on the background of their own class; 0.1 is chance."""
    epochs: PositiveInt | None = None
    """Number of passes over the training data in each training; by default that of the demo's recipes."""
    batch_size: PositiveInt | None = None
    """Number of images per update in each training; by default that of the demo's recipes."""
    encoder: str | None = None
    """Encoder of all three trainings; by default a convnet of 16 to 128 channels."""
    seed: NonNegativeInt = 0
    """Seed of the initial weights, the order of the samples and the random views."""
    device: str = "auto"
    """Device to train on: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "auto"
    """Numerical precision of the trainings; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    resume: bool = False
    """Continue a demo that was stopped."""
    overwrite: bool = False
    """Remove an earlier demo in --out first."""
