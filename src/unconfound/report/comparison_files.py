"""The files of a comparison: its tables as far as they are known, and at the end its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unconfound.comparison.cell import command_line
from unconfound.comparison.plan import Task, shown_configs
from unconfound.comparison.record import Comparison
from unconfound.comparison.rows import Rows
from unconfound.report.comparison_page import write_comparison
from unconfound.report.comparison_tables import write_tables
from unconfound.report.facts import machine_facts
from unconfound.training.run_folder import machine


def write_files(out: Path, comparison: Comparison, asked: Rows, tasks: Sequence[Task], *, ended: bool) -> None:
    """Write the tables of a comparison into its folder, and report.html where it has ended.

    Args:
        out: the folder.
        comparison: what was found so far.
        asked: its rows.
        tasks: its cells.
        ended: no more cells will be run.
    """
    around = machine()
    gpus = ", ".join(around["gpus"])
    hardware = f"{around['processor']}, {around['cores']} cores" + (f", {gpus}" if gpus else "")
    write_tables(out, comparison, command=command_line(), hardware=hardware)
    if not ended:
        return
    page = out / "report.html"
    write_comparison(
        page, comparison, configs=shown_configs(asked, tasks), command=command_line(), environment=machine_facts(around)
    )
