"""Damage files of every kind, very often, and say where that ends in anything but one line with the file's name.

python -m tests.fuzzing                                   # 10,000 of each kind
python -m tests.fuzzing --kind recipe --first 137 --count 1
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# `python -m tests.fuzzing` is run in the checkout, with the package installed.
from .harness import faults
from .kinds import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=[kind.name for kind in KINDS], help="by default all")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=10_000, help="of cases")
    given = parser.parse_args()
    told = 0
    for kind in KINDS:
        if given.kind and kind.name not in given.kind:
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["UNCONFOUND_CACHE"] = str(Path(folder) / "own cache")
            started = time.process_time()
            data = Path(folder) / "data"
            data.mkdir()
            found = faults(kind, data, range(given.first, given.first + given.count))
        told += len(found)
        print(f"{kind.name}: {len(found)} of {given.count:,} ({time.process_time() - started:.0f} s)", flush=True)
        causes = Counter(fault.partition(": ")[2][:60] for fault in found)
        for fault in found:
            if (cause := fault.partition(": ")[2][:60]) in causes:
                print(f"  {causes.pop(cause)} x {fault}")
    return min(told, 1)


if __name__ == "__main__":
    sys.exit(main())
