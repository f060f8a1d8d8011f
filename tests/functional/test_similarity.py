from __future__ import annotations

import numpy as np
import pytest
import torch

from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.bottleneck import gaussian_kl
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.dependence import ssl_hsic
from unconfound.functional.invariance import softmax_scale_gradient
from unconfound.functional.mixing import linear_mix
from unconfound.functional.proxy_losses import cosface_logits, soft_triple_logits
from unconfound.functional.redundancy import barlow_twins
from unconfound.functional.retrieval import retrieval_metrics
from unconfound.functional.robust import group_losses, irm_penalty, update_group_weights
from unconfound.functional.search import nearest
from unconfound.functional.ssim import ms_ssim
from unconfound.functional.whitening import whiten

ROWS, LABELS = np.ones((4, 3)), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: nt_xent(ROWS, ROWS),
        lambda: swapped_prediction(ROWS, ROWS),
        lambda: gaussian_kl(ROWS, ROWS),
        lambda: ssl_hsic(ROWS[None]),
        lambda: softmax_scale_gradient(ROWS, LABELS),
        lambda: linear_mix(ROWS, ROWS, 0.5),
        lambda: cosface_logits(torch.ones(4, 3), ROWS, LABELS, scale=1.0, margin=0.0),
        lambda: soft_triple_logits(torch.ones(4, 3), ROWS, LABELS, scale=1.0, margin=0.0, sharpness=1.0),
        lambda: barlow_twins(ROWS, ROWS),
        lambda: group_losses(ROWS[:, 0], LABELS, count=2),
        lambda: irm_penalty(ROWS, LABELS, LABELS, count=2),
        lambda: update_group_weights(torch.ones(4), ROWS[:, 0], step_size=0.1),
        lambda: nearest(ROWS, ROWS, neighbours=1),
        lambda: retrieval_metrics(ROWS, LABELS),
        lambda: ms_ssim(ROWS, ROWS),
        lambda: whiten(ROWS),
    ],
)
def test_arrays_are_refused_in_one_line_where_gradients_flow(call, unchecked_shapes):
    with pytest.raises(TypeError, match=r"^\w+ must be a tensor, got ndarray: convert with torch\.as_tensor$"):
        call()
