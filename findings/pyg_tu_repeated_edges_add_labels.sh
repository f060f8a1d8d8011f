#!/usr/bin/env bash
# PyTorch Geometric: an edge that a TU file lists twice gets a "one-hot" label of 2.
#
# read_tu_data, on which TUDataset stands, drops repeated edges by coalescing them, which adds what they carry. Labels of
# edges are made one-hot before that, so that a repeat (some published sets have them) turns [1, 0] into [2, 0], and two
# listings with different labels into [1, 1]. Nothing is said. unconfound does not use edge labels, says so, and drops
# repeats (src/unconfound/data/graphs/tu_files.py).
#
# Exits 0 while this holds, and otherwise with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch_geometric==2.8.1 numpy==2.4.6 2>/dev/null
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os
import sys
from pathlib import Path

import torch_geometric
from torch_geometric.io import read_tu_data

folder = Path(os.environ["FOLDER"])
# Two graphs: 1 - 2 - 3, whose edge from 1 to 2 is listed twice, and 4 - 5.
files = {
    "A": "1, 2\n2, 1\n1, 2\n2, 3\n3, 2\n4, 5\n5, 4\n",
    "edge_labels": "0\n0\n0\n1\n1\n0\n0\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "0\n1\n",
}
for ending, text in files.items():
    (folder / f"SET_{ending}.txt").write_text(text)
data, _, _ = read_tu_data(str(folder), "SET")
label = data.edge_attr[0].tolist()
print(f"torch_geometric {torch_geometric.__version__}")
print("expected: the edge from node 1 to node 2 comes once, with the label [1, 0]")
print(f"seen: {data.edge_index.shape[1]} edges of 7 listed, that one with the label {label}")
holds = data.edge_index.shape[1] == 6 and label == [2.0, 0.0]
print("as described" if holds else "CHANGED: this finding no longer holds")
sys.exit(not holds)
PYTHON
