from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.images.estimated_masks import with_estimated_masks
from unconfound.data.images.refined_masks import with_refined_masks
from unconfound.data.load import load_dataset
from unconfound.functional.foregrounds.depths import depths
from unconfound.functional.foregrounds.overlap import intersection_over_union
from unconfound.functional.foregrounds.refinement import refine_masks

pytestmark = pytest.mark.usefixtures("own_cache")


def _all(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


@pytest.fixture
def given(squares):
    images, true = squares
    schema = Schema("images", (3, 16, 16), ("a", "b"))
    wide = depths(true, 1) > -1
    source = MemorySource("given", schema, images, labels=torch.arange(40) % 2, masks=wide)
    parts = [Subset(source, torch.arange(40)[part]) for part in (slice(0, 24), slice(24, 28), slice(28, 40))]
    return Dataset(parts[0], {"test": parts[2]}, labelled=parts[0], validation=parts[1])


def test_masks_of_all_parts_are_refined(given, squares):
    dataset = with_refined_masks(given, wrong_by=1)
    for part, old in ((dataset.train, given.train), (dataset.validation, given.validation)):
        assert torch.equal(_all(part).masks, refine_masks(_all(part).inputs, _all(old).masks, wrong_by=1))
    assert dataset.labelled is dataset.train
    masks = _all(dataset.tests["test"]).masks
    assert intersection_over_union(masks, squares[1][28:]).mean() > 0.9
    assert (
        "masks are refined by colour within 1 pixels of their edges; refined and given masks of 24 images agree by "
        in (dataset.train.notes[-1])
    )
    swapped = with_refined_masks(replace(given, tests={"mixed-rand": given.tests["test"]}), wrong_by=1)
    assert swapped.tests["mixed-rand"] is given.tests["test"]


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_a_folder_with_masks_has_them_refined(tmp_path, squares, memory):
    for number, (image, mask) in enumerate(zip(*squares, strict=True)):
        for kind, pixels in (("images", image.permute(1, 2, 0).numpy()), ("masks", mask[0].numpy())):
            path = tmp_path / kind / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(
                pixels if kind == "images" else np.uint8(255) * (depths(mask[None], 1) > -1)[0, 0].numpy()
            ).save(path)
    options = {"masks": tmp_path / "masks", "memory_gib": memory, "workers": 0}
    plain, refined = (load_dataset(tmp_path / "images", refine_masks=pixels, **options) for pixels in (0, 1))
    batch = _all(refined.train)
    assert torch.equal(batch.masks, refine_masks(batch.inputs, _all(plain.train).masks, wrong_by=1))
    assert (batch.masks != _all(plain.train).masks).any()


def test_without_masks_there_is_nothing_to_refine(given, squares):
    bare = Dataset(MemorySource("bare", Schema("images", (3, 16, 16)), squares[0]), {})
    with pytest.raises(
        ValueError, match="refine_masks 2 refines masks, and bare has none: name their folder with --ma"
    ):
        with_refined_masks(bare, wrong_by=2)
    told = replace(bare, mask_note="estimated masks are useless here")
    assert with_refined_masks(told, wrong_by=2) is told


def test_examples_show_refined_estimates(given):
    dataset = with_estimated_masks(given)
    examples = with_refined_masks(dataset, wrong_by=1).mask_examples
    assert torch.equal(examples.estimates, refine_masks(examples.images, dataset.mask_examples.estimates, wrong_by=1))


def test_only_images_have_masks_to_refine(given):
    rows = MemorySource("rows", Schema("tables", (2,)), torch.rand(4, 2))
    with pytest.raises(ValueError, match="rows holds tables: only images have masks to refine"):
        with_refined_masks(replace(given, train=rows), wrong_by=1)
