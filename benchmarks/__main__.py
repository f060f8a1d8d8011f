"""Run all benchmarks, print each comparison as it is made, and write them to a Markdown table.

python -m benchmarks [views] [mixing] [losses] [retrieval] [training] [graphs] [graph_probe] [icl_msr] [ssim] [cim]
    [metric] [dcml] [environments] [search] [usage]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.row import Row
from unconfound.training.run_folder import environment

ALL = (
    "views",
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
    "search",
    "usage",
)
OUT = Path("runs/benchmarks.md")


def main() -> None:
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]!r}: use {', '.join(ALL)}")
    rows: list[Row] = []
    for name in names:
        print(f"{name} ...", flush=True)
        for row in import_module(f"benchmarks.{name}").run():
            print(f"  {row}", flush=True)
            rows.append(row)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(_page(rows), encoding="utf-8")
    missed = sum(not row.met for row in rows)
    print(f"{len(rows) - missed} of {len(rows)} targets met; the table is in {OUT}")


def _page(rows: list[Row]) -> str:
    where = environment()
    hardware = ", ".join(where["gpus"]) or f"{where['processor']}, {where['cores']} cores"
    lines = [
        f"`{' '.join(['python -m benchmarks', *sys.argv[1:]])}` on {hardware}; torch {torch.__version__}, "
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
    main()
