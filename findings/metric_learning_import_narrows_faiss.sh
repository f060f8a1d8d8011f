#!/usr/bin/env bash
# pytorch-metric-learning and faiss: importing the one's accuracy calculator takes memory maps away from the other.
#
# faiss adds a numpy.memmap to an index as any array. pytorch_metric_learning.utils.accuracy_calculator imports
# faiss.contrib.torch_utils, which replaces faiss's methods for the whole process; these take exactly numpy.ndarray or
# torch.Tensor, no subclass, so that the same call ends in a bare AssertionError. unconfound hands plain arrays to faiss
# (src/unconfound/retrieval/shards.py).
#
# Exits 0 while this holds, and otherwise with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 pytorch-metric-learning==2.9.0 faiss-cpu==1.15.1 numpy==2.4.6 2>/dev/null
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os
import sys
from importlib.metadata import version

import faiss
import numpy as np

path = os.path.join(os.environ["FOLDER"], "rows")
np.ones((10, 4), np.float32).tofile(path)
rows = np.memmap(path, np.float32, "r", shape=(10, 4))
index = faiss.IndexFlatL2(4)


def add(what: np.ndarray) -> str:
    try:
        index.add(what)
    except AssertionError:
        return "AssertionError"
    return f"{index.ntotal} rows in the index"


before = add(rows)
import pytorch_metric_learning.utils.accuracy_calculator  # noqa: E402, F401

after, plain = add(rows), add(np.asarray(rows))
print(f"pytorch-metric-learning {version('pytorch-metric-learning')}, faiss-cpu {version('faiss-cpu')}")
print("expected: an import changes nothing of what another library takes")
print(f"seen, a memory map before the import: {before}")
print(f"seen, the same after it: {after}; as a plain array: {plain}")
holds = after == "AssertionError" and before != after
print("as described" if holds else "CHANGED: this finding no longer holds")
sys.exit(not holds)
PYTHON
