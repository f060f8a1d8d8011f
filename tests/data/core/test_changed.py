from __future__ import annotations

from dataclasses import replace

import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.core.changed import ChangedSource


class _Doubled(ChangedSource):
    def changed(self, batch):
        return replace(batch, inputs=2 * batch.inputs)


def test_batches_are_changed_and_all_else_stays():
    labels = torch.tensor([0, 1, 1])
    base = MemorySource(
        "rows", Schema("tables", (2,), ("a", "b")), torch.rand(3, 2), labels, groups=labels, names=("x", "y", "z")
    )
    source = _Doubled(base)
    first, second = source.batches([torch.tensor([2, 0]), torch.tensor([1])])
    assert torch.equal(first.inputs, 2 * base.inputs[[2, 0]])
    assert torch.equal(first.labels, labels[[2, 0]])
    assert second.index.tolist() == [1]
    for what in ("name", "schema", "labels", "groups", "scenes", "names", "texts", "notes"):
        assert getattr(source, what) is getattr(base, what)
    assert len(source) == 3
