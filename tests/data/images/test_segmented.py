from __future__ import annotations

from dataclasses import replace

import jaxtyping
import pytest
import torch

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.images.segmented import with_masks_by
from unconfound.data.load import with_swaps


@pytest.fixture
def given(squares):
    schema = Schema("images", (3, 16, 16), ("a", "b"))
    source = MemorySource("given", schema, squares[0], labels=torch.arange(40) % 2)
    parts = [Subset(source, torch.arange(40)[part]) for part in (slice(0, 24), slice(24, 28), slice(28, 40))]
    return Dataset(parts[0], {"test": parts[2]}, labelled=parts[0], validation=parts[1])


def _bright(images):
    return images.float().mean(1, keepdim=True) > 128


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def test_masks_are_those_that_the_function_finds(given, squares):
    seen = []
    dataset = with_masks_by(given, lambda images: seen.append(len(images)) or _bright(images), batch_size=16)
    assert torch.equal(_all(dataset.train).masks, squares[1][:24])
    assert torch.equal(_all(dataset.validation).masks, squares[1][24:28])
    assert dataset.labelled is dataset.train
    # All parts are of one source, whose images are looked at once.
    assert seen == [16, 16, 8]
    assert _all(given.train).masks is None
    swapped = with_swaps(dataset)
    assert torch.equal(_all(swapped.tests["original"]).masks, squares[1][28:])
    assert "mixed-rand" in swapped.tests


@pytest.mark.parametrize(
    ("segment", "found"),
    [
        (lambda images: _bright(images)[:, 0], r"torch.bool of \(40, 16, 16\)"),
        (lambda images: _bright(images).float(), r"torch.float32 of \(40, 1, 16, 16\)"),
        (lambda images: _bright(images).numpy(), "ndarray"),
    ],
)
def test_other_results_are_refused(given, segment, found):
    # Not by the checks of shapes, which users do not have.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(
            ValueError, match=rf"returned {found} for images of \(40, 3, 16, 16\): it must return a ten"
        ):
            with_masks_by(given, segment)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_only_images_have_masks(given):
    rows = MemorySource("rows", Schema("tables", (2,)), torch.rand(4, 2))
    with pytest.raises(ValueError, match="rows holds tables: only images have masks"):
        with_masks_by(replace(given, train=rows), _bright)
