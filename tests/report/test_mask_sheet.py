import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data.core.mask_examples import MaskExamples
from unconfound.report import write_report
from unconfound.report.mask_sheet import estimated_masks


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.fixture
def estimating(picture_data):
    """Return a maker of images with two examples of estimated masks, and with the true ones or without."""

    def make(*, truth):
        data = picture_data()
        estimates = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
        estimates[:, :, 4:8, :8] = True
        true = torch.zeros_like(estimates)
        true[0, :, 4:12, :8] = True
        examples = MaskExamples(
            data.train.inputs[:2], torch.tensor([1, -1]), ("a.png", "sample 4"), estimates, true if truth else None
        )
        return replace(data, mask_examples=examples, mask_note="all masks are estimated; they are usable here")

    return make


def test_estimates_are_shown_beside_the_truth(estimating):
    data = estimating(truth=True)
    first, second = estimated_masks(data)
    assert (first.label, first.name, second.label) == ("class 1", "a.png", "no label")
    assert (first.share, first.overlap, second.overlap) == (0.125, 0.5, 0.0)
    np.testing.assert_array_equal(pixels(first.picture), data.train.inputs[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(pixels(first.estimate), 255 * data.mask_examples.estimates[0, 0].numpy())
    np.testing.assert_array_equal(pixels(first.truth), 255 * data.mask_examples.truth[0, 0].numpy())


def test_without_the_truth_nothing_is_compared(estimating):
    first, _ = estimated_masks(estimating(truth=False))
    assert (first.truth, first.overlap) == ("", None)


@pytest.mark.parametrize("truth", [True, False])
def test_the_page_has_a_sheet_of_them(entry, estimating, tmp_path, truth):
    data = estimating(truth=truth)
    page = write_report(tmp_path / "report.html", [entry("a", data)], data, title="t", command="c").read_text()
    assert '<section id="masks"' in page
    assert "<p>All masks are estimated; they are usable here.</p>" in page
    assert ("agreement 0.50" in page) == truth
    assert page.count('alt="its estimated mask"') == 2
    assert page.count('alt="its true mask"') == (2 if truth else 0)


def test_nothing_is_shown_where_nothing_was_estimated(picture_data):
    assert estimated_masks(picture_data()) == []
