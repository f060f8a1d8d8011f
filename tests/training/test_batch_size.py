from __future__ import annotations

import pytest

from training.toy import options
from unconfound.training.batch_size import batch_size_of


def test_batches_divide_among_processes():
    assert batch_size_of(options(batch_size=None), 47, 2)[0] == 46
    assert batch_size_of(options(batch_size=None), 3000, 3) == (255, "batch size 255, to divide among 3 processes")
    assert batch_size_of(options(batch_size=None), 3000, 2) == (256, "")
    assert batch_size_of(options(batch_size=24), 47, 2) == (24, "")
    note = "batch size 40, 4 samples of each of 10 classes"
    assert batch_size_of(options(batch_size=None), 3000, 2, balanced=(10, 4)) == (40, note)
    assert batch_size_of(options(batch_size=None), 3000, 2, balanced=(100, 4)) == (256, "")
    assert batch_size_of(options(batch_size=None), 3000, 2, balanced=(7, 3))[0] == 18
    with pytest.raises(ValueError, match="batch_size 15 does not divide among 2 processes: give a multiple"):
        batch_size_of(options(batch_size=15), 47, 2)
    with pytest.raises(
        ValueError, match=r"too few for one update: 3, where 4 or more are needed \(4 samples of a class\)"
    ):
        batch_size_of(options(batch_size=None), 3, 1, balanced=(2, 4))
    with pytest.raises(ValueError, match=r"too few for one update: 1, where 2 or more are needed \(2 processes\)"):
        batch_size_of(options(batch_size=None), 1, 2)
