from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from two_processes import run

from unconfound.functional.distributed import world
from unconfound.methods.parts.queue import KeyQueue


@settings(deadline=None)
@given(st.integers(1, 7), st.lists(st.integers(1, 9), max_size=5))
def test_it_holds_the_last_keys_whatever_the_sizes_of_the_batches(length, sizes):
    queue = KeyQueue(length, 2)
    expected = [(0.0, *row) for row in queue.rows().tolist()]
    count = 0
    for size in sizes:
        keys = torch.arange(count, count + size)[:, None] * torch.ones(2)
        queue.push(keys)
        expected = (expected + [(0.0, *row) for row in keys.tolist()])[-length:]
        count += size
    assert sorted((0.0, *row) for row in queue.rows().tolist()) == sorted(expected)
    assert queue.pointer == count % length


def test_it_starts_with_random_rows_of_unit_length():
    torch.manual_seed(0)
    first, second = KeyQueue(50, 3).rows(), KeyQueue(50, 3).rows()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(50))
    assert not torch.equal(first, second)
    assert first.mean(0).abs().max() < 0.3


def test_a_push_leaves_rows_that_were_used_and_carries_no_gradient():
    queue = KeyQueue(3, 2)
    query = torch.randn(2, requires_grad=True)
    rows = queue.rows()
    loss = (rows @ query).sum()
    before = rows.clone()
    queue.push(torch.randn(2, 2, requires_grad=True) * 2)
    loss.backward()
    torch.testing.assert_close(query.grad, before.sum(0))
    assert not queue.keys.requires_grad


def test_it_is_saved_and_resumed():
    queue, other = KeyQueue(5, 2), KeyQueue(5, 2)
    queue.push(torch.randn(3, 2))
    other.load_state_dict(queue.state_dict())
    more = torch.randn(4, 2)
    for each in (queue, other):
        each.push(more)
    assert torch.equal(queue.keys, other.keys)
    assert queue.pointer == other.pointer == 2


def test_a_call_on_copies_of_its_buffers_leaves_no_trace():
    class Push(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.queue = KeyQueue(3, 2)

        def forward(self, keys):
            similar = keys @ self.queue.rows().T
            self.queue.push(keys)
            return similar.sum()

    method = Push()
    before = {name: buffer.clone() for name, buffer in method.named_buffers()}
    copies = {name: buffer.clone() for name, buffer in method.named_buffers()}
    keys = torch.randn(2, 2)
    torch.func.functional_call(method, copies, (keys,))
    assert all(torch.equal(before[name], buffer) for name, buffer in method.named_buffers())
    assert torch.equal(copies["queue.keys"][:2], keys)

    def forward_mode(keys):
        inside = {name: buffer.clone() for name, buffer in method.named_buffers()}
        return torch.func.functional_call(method, inside, (keys,))

    _, tangent = torch.func.jvp(forward_mode, (keys,), (torch.ones(2, 2),))
    torch.testing.assert_close(tangent, 2 * before["queue.keys"].sum())


def test_half_precision_keys_are_taken():
    queue = KeyQueue(3, 2)
    queue.push(torch.ones(1, 2, dtype=torch.bfloat16))
    assert queue.rows()[0].tolist() == [1, 1]
    assert queue.rows().dtype == torch.float32


def _pushed():
    torch.manual_seed(0)
    queue, (rank, processes) = KeyQueue(7, 2), world()
    for keys in torch.randn(3, 4, 2):
        queue.push(keys.chunk(processes)[rank])
    return queue.keys, queue.pointer


def test_two_processes_hold_the_keys_of_both(tmp_path):
    keys, pointer = _pushed()
    for other, place in run(_pushed, tmp_path):
        torch.testing.assert_close(other, keys)
        assert place == pointer


@pytest.mark.parametrize(("length", "features"), [(0, 2), (2, 0), (-1, 2)])
def test_an_empty_queue_is_refused(length, features):
    with pytest.raises(ValueError, match=f"at least one row of one feature, got {length} of {features}"):
        KeyQueue(length, features)
