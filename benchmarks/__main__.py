"""Run all benchmarks, print each comparison as it is made, and write them to a Markdown table.

python -m benchmarks [views] [exchange] [masks] [mixing] [losses] [retrieval] [training] [graphs] [graph_probe]
    [icl_msr] [ssim] [cim] [metric] [dcml] [environments] [erasure] [search] [embed] [usage]

One that fails does not stop the others. The end says which failed and what was left out; the exit status is then 1 for
a failure.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.measure import WHOLE, Scale
from benchmarks.row import LeftOut, Row
from unconfound.training.run_folder import machine

ALL = (
    "views",
    "exchange",
    "masks",
    "mixing",
    "losses",
    "retrieval",
    "training",
    "graphs",
    "graph_probe",
    "icl_msr",
    "ssim",
    "cim",
    "metric",
    "dcml",
    "environments",
    "erasure",
    "search",
    "embed",
    "usage",
)
OUT = Path("runs/benchmarks.md")


def main(words: Sequence[str], *, scale: Scale = WHOLE, out: Path = OUT) -> int:
    """Run what is named, or all; return the exit status."""
    unknown = [name for name in words if name not in ALL]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}: use {', '.join(ALL)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    left_out: list[LeftOut] = []
    failed: list[str] = []
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in words or ALL:
        print(f"{name} ...", flush=True)
        try:
            for row in import_module(f"benchmarks.{name}").run(scale):
                print(f"  {row}", flush=True)
                if isinstance(row, Row):
                    rows.append(row)
                else:
                    left_out.append(row)
        except Exception as error:  # whatever it is, the others are still wanted
            traceback.print_exc()
            failed.append(f"{name}: failed, {type(error).__name__}: {error}")
        out.write_text(_page(rows, words), encoding="utf-8")
    missed = sum(not row.met for row in rows)
    print(f"{len(rows) - missed} of {len(rows)} targets met; the table is in {out}")
    for line in (*left_out, *failed):
        print(line)
    return 1 if failed else 0


def _page(rows: Sequence[Row], words: Sequence[str]) -> str:
    where = machine()
    hardware = ", ".join(where["gpus"]) or f"{where['processor']}, {where['cores']} cores"
    lines = [
        f"`{' '.join(['python -m benchmarks', *words])}` on {hardware}; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; commit {where['git']}.",
        "",
        "| what | ours | peer | ratio | target | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:.4g} {row.unit}"
        wanted = f"{'at most' if row.at_most else 'at least'} {row.target:g}"
        lines.append(
            f"| {row.what} | {row.ours:.4g} {row.unit} | {peer} | {row.ratio:.3g} | {wanted} "
            f"| {'met' if row.met else 'missed'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
