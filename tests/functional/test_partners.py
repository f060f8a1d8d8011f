from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.functional.partners import class_partners, draw_partners


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 1000))
def test_partners_are_of_the_right_class_and_never_oneself(labels, count, seed):
    labels = torch.tensor(labels)
    scores = torch.rand(len(labels), len(labels), generator=torch.Generator().manual_seed(seed))
    positives, negatives = class_partners(labels, labels)
    for allowed, same in ((positives, True), (negatives, False)):
        drawn = draw_partners(scores, allowed, count=count)
        assert drawn.shape == (len(labels), count)
        for anchor, row in enumerate(drawn.tolist()):
            fitting = [j for j in range(len(labels)) if j != anchor and (labels[j] == labels[anchor]) == same]
            chosen = [j for j in row if j >= 0]
            assert set(chosen) <= set(fitting)
            assert len(set(chosen)) == len(chosen) == min(count, len(fitting))
            best = sorted(fitting, key=lambda j: -scores[anchor, j])[: len(chosen)]
            assert set(chosen) == set(best)


def test_the_rows_of_two_processes_are_the_rows_of_one():
    labels = torch.tensor([0, 1, 0, 1, 2, 0])
    whole = class_partners(labels, labels)
    for first in (0, 3):
        part = class_partners(labels[first : first + 3], labels, first=first)
        assert all(torch.equal(mine, all_rows[first : first + 3]) for mine, all_rows in zip(part, whole, strict=True))


def test_random_scores_choose_uniformly():
    labels = torch.zeros(5, dtype=torch.long)
    allowed, _ = class_partners(labels, labels)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([draw_partners(torch.rand(5, 5, generator=generator), allowed, count=1) for _ in range(4000)])
    share = torch.stack([(drawn.view(-1, 5)[:, 0] == other).float().mean() for other in range(5)])
    torch.testing.assert_close(share, torch.tensor([0, 0.25, 0.25, 0.25, 0.25]), rtol=0, atol=0.03)


def test_a_count_of_none_is_refused():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        draw_partners(torch.rand(2, 2), torch.ones(2, 2, dtype=torch.bool), count=0)
