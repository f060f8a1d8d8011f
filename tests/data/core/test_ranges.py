from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.data.core.ranges import concatenated_ranges


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=12))
def test_runs_are_laid_end_to_end(runs):
    starts, lengths = (torch.tensor([run[place] for run in runs], dtype=torch.long) for place in (0, 1))
    expected = [position for start, length in runs for position in range(start, start + length)]
    found = concatenated_ranges(starts, lengths)
    assert found.tolist() == expected
    assert found.dtype == torch.long
