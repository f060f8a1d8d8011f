from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unconfound.methods.parts.memory import LabelledMemory


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 9), sizes=st.lists(st.integers(1, 9), max_size=6))
def test_it_holds_the_last_rows_with_their_labels(length, sizes):
    memory, pushed = LabelledMemory(length, 2), []
    for size in (min(size, length) for size in sizes):
        values = torch.arange(len(pushed), len(pushed) + size)
        places = memory.push(values[:, None].repeat(1, 2).float(), values % 5)
        assert torch.equal(memory.rows[places, 0].long(), values)
        pushed += values.tolist()
    held = memory.labels >= 0
    assert sorted(memory.rows[held, 0].long().tolist()) == pushed[-length:]
    assert torch.equal(memory.labels[held], memory.rows[held, 1].long() % 5)
    assert (memory.rows[~held] == 0).all()


def test_pairs_leave_out_samples_themselves_and_empty_rows():
    memory, labels = LabelledMemory(5, 1), torch.tensor([0, 1, 0])
    positive, negative = memory.pairs(labels, memory.push(torch.ones(3, 1), labels))
    assert positive.int().tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert negative.int().tolist() == [[0, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    positive, _ = memory.pairs(labels, None)
    assert positive.int().sum() == 5


def test_a_batch_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="a batch of 4 does not fit a memory of 3: use a smaller --batch-size"):
        LabelledMemory(3, 1).push(torch.ones(4, 1), torch.zeros(4, dtype=torch.long))
