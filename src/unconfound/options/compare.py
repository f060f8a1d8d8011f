"""The arguments of `unconfound compare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt


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
    """Figure that selects among the candidates of a row: validation, "validation worst group", "validation mean of
    groups", "validation MAP@R" (for unseen classes), leave-one-domain-out (for --data domains) or oracle; by default
    that of the comparison, else validation."""
    jobs: PositiveInt = 1
    """Number of runs at a time, each in a process with an equal share of the CPU cores; a GPU is shared by all of
    them."""
