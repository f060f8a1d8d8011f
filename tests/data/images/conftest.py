from __future__ import annotations

import pytest
import torch


@pytest.fixture
def squares():
    """Return 40 dark images with a bright square each, at another place in each, and their masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(40, 1, 16, 16, dtype=torch.bool)
    for sample in range(40):
        top, left = 3 + sample % 5, 3 + sample // 8
        masks[sample, :, top : top + 5, left : left + 5] = True
    dark = torch.randint(20, 40, (40, 3, 16, 16), generator=generator)
    return torch.where(masks, 200, dark).to(torch.uint8), masks
