"""Short trainings of methods that compare two views."""

from __future__ import annotations

import torch

from methods.toy import image_batch

# Of views that differ little, so that little training tells.
MILD = {"crop_scale": (0.8, 1.0), "flip_probability": 0.0, "jitter_probability": 0.0, "grayscale_probability": 0.0}


def learnt(method):
    return [each for each in method.parameters() if each.requires_grad]


def train(method, *, steps, size=16, rate=0.01, seed=None, batch=None):
    """Take steps of Adam on one batch, of images unless one is given, and return the losses."""
    optimizer = torch.optim.Adam(learnt(method), lr=rate)
    losses, batch = [], batch or image_batch(size)
    for step in range(steps):
        method.before_update("train", done=step / steps, learning_rate=rate)
        if seed is not None:
            torch.manual_seed(seed + step)
        loss = method(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_update()
        losses.append(loss.item())
    return losses
