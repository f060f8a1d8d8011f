from __future__ import annotations

import numpy as np
import pytest
import torch

from unconfound.functional.assignment import swapped_prediction
from unconfound.functional.bottleneck import gaussian_kl
from unconfound.functional.contrastive import nt_xent
from unconfound.functional.dependence import ssl_hsic
from unconfound.functional.inputs import (
    check_above_0,
    check_at_least_0,
    check_at_least_1,
    check_finite,
    check_paired,
    check_rows,
    check_several,
    unit_range,
    wide,
    wide_dtype,
    wide_pair,
)
from unconfound.functional.invariance import softmax_scale_gradient
from unconfound.functional.mixing import linear_mix
from unconfound.functional.neighbours import nearest
from unconfound.functional.proxy_losses import cosface_logits, soft_triple_logits
from unconfound.functional.redundancy import barlow_twins
from unconfound.functional.retrieval_metrics import retrieval_metrics
from unconfound.functional.robust import group_losses, irm_penalty, update_group_weights
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


def test_half_precision_is_computed_in_float32_and_float64_stays():
    half, single, double = (torch.ones(2, dtype=dtype) for dtype in (torch.float16, torch.float32, torch.float64))
    for values, dtype in ((half, torch.float32), (half.bfloat16(), torch.float32), (double, torch.float64)):
        assert wide(values).dtype == dtype
    assert wide(single) is single
    # Neither of the two half precisions holds the other.
    assert wide_dtype(half, half.bfloat16()) == torch.float32
    assert [each.dtype for each in wide_pair(half, double)] == [torch.float64] * 2
    assert wide(torch.tensor([torch.nan, torch.inf]).half()).tolist()[1] == torch.inf


def test_only_uint8_is_divided_by_255():
    assert torch.equal(unit_range(torch.tensor([0, 51, 255], dtype=torch.uint8)), torch.tensor([0.0, 0.2, 1.0]))
    values = torch.tensor([-1.0, 255.0, torch.nan])
    assert unit_range(values) is values


def test_numbers_out_of_range_are_named():
    check_above_0(scale=1e-30)
    check_at_least_0(weight=0.0, margin=2.0)
    check_at_least_1(steps=1)
    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"scale .*above 0, got {value}"):
            check_above_0(temperature=1.0, scale=value)
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"weight .*at least 0, got {value}"):
            check_at_least_0(weight=value)
    with pytest.raises(ValueError, match=r"passes .*at least 1, got 0"):
        check_at_least_1(steps=3, passes=0)


def test_matrices_that_do_not_fit_are_named():
    rows = torch.ones(3, 2)
    check_paired(first=rows, second=rows, keys=rows)
    with pytest.raises(ValueError, match=r"first and keys .*\(3, 2\) and \(2, 2\)"):
        check_paired(first=rows, second=rows, keys=rows[:2])
    with pytest.raises(TypeError, match=r"second .*floating-point"):
        check_paired(first=rows, second=rows.long())
    for wrong in (rows[0], rows[:0], rows[:, :0]):
        with pytest.raises(ValueError, match="rows must be"):
            check_rows("rows", wrong)
    check_several(rows[:2], loss="a loss")
    with pytest.raises(ValueError, match=r"a loss .*holds 1"):
        check_several(rows[:1], loss="a loss")


def test_rows_that_are_no_numbers_are_counted():
    rows = torch.ones(4, 2)
    check_finite("rows", rows)
    rows[1, 0], rows[3, 1] = torch.nan, torch.inf
    with pytest.raises(ValueError, match=r"2 of 4 rows .*first is row 1"):
        check_finite("rows", rows)
