#!/usr/bin/env bash
# pandas: whether a far date can be read depends on how precisely another cell of its column is written.
#
# A column of ISO dates in which one is of the year 1 ("unknown") or 9999 ("no end") is read in microseconds, and whole.
# If any other cell has nine digits behind the point, the column is read in nanoseconds, whose range is 1677 to 2262:
# with errors="coerce" the far date becomes missing, without a warning. unconfound reads each cell in the unit that it
# fits into (src/unconfound/data/tables/column_kinds.py).
#
# Exits 0 while this holds, and otherwise with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 2>/dev/null
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import pandas as pd

far, near = "0001-01-01", "2020-01-01 10:00:00.123456"
seen = {
    digits: pd.to_datetime(pd.Series([far, cell]), format="ISO8601", errors="coerce")
    for digits, cell in (("six digits", near), ("nine digits", near + "789"))
}
print(f"pandas {pd.__version__}")
print(f"expected: {far} is read, or missing, whatever the other cell is")
for digits, column in seen.items():
    print(f"seen, the other cell with {digits}: {column[0]} in {column.dtype}")
holds = not pd.isna(seen["six digits"][0]) and pd.isna(seen["nine digits"][0])
print("as described" if holds else "CHANGED: this finding no longer holds")
sys.exit(not holds)
PYTHON
