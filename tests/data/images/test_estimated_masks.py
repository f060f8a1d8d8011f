from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.images.estimated_masks import with_estimated_masks
from unconfound.data.load import load_dataset
from unconfound.functional.foregrounds.border_distance import estimate_masks

SWAPS = {"original", "mixed-same", "mixed-rand", "only-foreground", "only-background"}


@pytest.fixture
def folder(tmp_path, squares):
    """Return a folder of images in two classes, without masks."""
    for number, image in enumerate(squares[0]):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return tmp_path / "pictures"


def _masks(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch.inputs, batch.masks


def test_a_folder_without_masks_gets_estimated_ones_and_swapped_backgrounds(folder):
    dataset = load_dataset(folder, masks=Path("estimate"))
    assert set(dataset.tests) == SWAPS
    images, masks = _masks(dataset.train)
    assert torch.equal(masks, estimate_masks(images))
    assert dataset.labelled is dataset.train
    assert dataset.train_foreground is not None
    assert dataset.mask_note.startswith("all masks are estimated from the images; estimated masks are usable here")
    assert dataset.mask_note in dataset.train.notes
    without = load_dataset(folder)
    assert (set(without.tests), without.mask_note) == ({"test"}, "")


def test_streamed_images_get_theirs_batch_by_batch(folder):
    dataset = load_dataset(folder, masks="estimate", memory_gib=0, workers=0)
    images, masks = _masks(dataset.train)
    assert torch.equal(masks, estimate_masks(images))
    # As with masks in a folder: backgrounds are swapped in memory only.
    assert set(dataset.tests) == {"test"}


def test_arrays_without_masks_get_estimated_ones(tmp_path, squares):
    images, _ = squares
    np.savez(tmp_path / "a.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=np.arange(40) % 2)
    dataset = load_dataset(tmp_path / "a.npz", masks="estimate")
    assert set(dataset.tests) == SWAPS
    assert torch.equal(_masks(dataset.tests["original"])[1], estimate_masks(_masks(dataset.tests["original"])[0]))


def test_masks_of_the_data_are_kept_and_compared(squares):
    images, masks = squares
    given = Dataset(MemorySource("given", Schema("images", (3, 16, 16)), images, masks=masks.roll(1, 2)), {})
    dataset = with_estimated_masks(given)
    assert dataset.train is given.train
    assert dataset.mask_note.startswith("the masks that come with the data are kept; ")
    assert "with the true masks they agree by 0.6" in dataset.mask_note


def _given(squares, images=None):
    schema = Schema("images", (3, 16, 16), ("a", "b"))
    images, masks = squares[0] if images is None else images, squares[1]
    source = MemorySource("given", schema, images, labels=torch.arange(40) % 2, masks=masks.roll(1, 2))
    parts = {name: Subset(source, torch.arange(40)[part]) for name, part in PARTS.items()}
    return Dataset(parts["train"], {"test": parts["test"]}, labelled=parts["train"], validation=parts["validation"])


PARTS = {"train": slice(0, 30), "validation": slice(30, 34), "test": slice(34, 40)}


def test_masks_of_the_data_are_hidden_from_training_where_this_is_asked_for(squares):
    given = _given(squares)
    dataset = with_estimated_masks(given, instead=True)
    for part in (dataset.train, dataset.validation):
        images, masks = _masks(part)
        assert torch.equal(masks, estimate_masks(images))
    assert dataset.labelled is dataset.train
    assert dataset.tests["test"] is given.tests["test"]
    assert dataset.mask_note.startswith(
        "the masks that come with the training images are hidden; estimated masks are u"
    )
    assert dataset.mask_note.endswith("; those estimated from the images take their place")
    assert torch.equal(_masks(given.train)[1], squares[1].roll(1, 2)[:30])


def test_a_function_may_estimate_the_masks(squares):
    def bright(images):
        return images.float().mean(1, keepdim=True) > 128

    dataset = with_estimated_masks(_given(squares), instead=True, segment=bright, origin="estimated by brightness")
    images, masks = _masks(dataset.train)
    assert torch.equal(masks, bright(images))
    assert torch.equal(dataset.mask_examples.estimates, bright(dataset.mask_examples.images))
    assert "two estimates of 30 images agree by" in dataset.mask_note
    assert "with the true masks they agree by 0.6" in dataset.mask_note
    assert dataset.mask_note.endswith("; those estimated by brightness take their place")
    useless = with_estimated_masks(_given(squares), instead=True, segment=lambda images: bright(images) & False)
    assert useless.mask_note.endswith(
        "100% show next to nothing and 0% next to everything; with the true masks they "
        "agree by 0.00; training has no masks"
    )


def test_hidden_masks_stay_hidden_where_estimates_are_useless(squares):
    noise = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    dataset = with_estimated_masks(_given(squares, noise), instead=True)
    assert _masks(dataset.train)[1] is None
    assert _masks(dataset.tests["test"])[1] is not None
    assert dataset.mask_note.endswith("; training has no masks")


def test_the_demo_can_be_trained_on_estimated_masks():
    dataset = load_dataset("demo", masks="estimate-all")
    original = load_dataset("demo")
    assert "with the true masks they agree by 0.9" in dataset.mask_note
    assert (dataset.train.masks != original.train.masks).any()
    assert torch.equal(dataset.train.inputs, original.train.inputs)
    assert torch.equal(dataset.tests["mixed-rand"].inputs, original.tests["mixed-rand"].inputs)


def test_examples_of_estimated_masks_are_kept(squares):
    given = _given(squares)
    examples = with_estimated_masks(given).mask_examples
    assert examples.names == tuple(f"sample {place}" for place in (0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29))
    assert torch.equal(examples.estimates, estimate_masks(examples.images))
    assert torch.equal(examples.truth[1], squares[1].roll(1, 2)[3])
    assert examples.labels.tolist() == [place % 2 for place in (0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29)]
    assert with_estimated_masks(replace(given, train=given.validation)).mask_examples.truth is not None
    bare = MemorySource("bare", Schema("images", (3, 16, 16)), squares[0], names=tuple("a" * 40))
    examples = with_estimated_masks(Dataset(bare, {})).mask_examples
    assert examples.truth is None
    assert examples.labels.tolist() == [-1] * 12
    assert examples.names == ("a",) * 12


def test_useless_estimates_are_not_used(squares):
    noise = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    dataset = with_estimated_masks(Dataset(MemorySource("noise", Schema("images", (3, 16, 16)), noise), {}))
    assert _masks(dataset.train)[1] is None
    assert dataset.mask_note.startswith("estimated masks are useless here")
    assert dataset.mask_note.endswith("; the data stay without masks")


def test_one_image_is_too_few_for_a_verdict(squares):
    one = Dataset(MemorySource("one", Schema("images", (3, 16, 16)), squares[0][:1]), {})
    dataset = with_estimated_masks(one)
    assert _masks(dataset.train)[1] is None
    assert dataset.mask_note == "no masks are estimated: a verdict on them needs two training images or more"


def test_only_images_have_masks():
    rows = Dataset(MemorySource("rows", Schema("tables", (2,)), torch.rand(4, 2)), {})
    with pytest.raises(ValueError, match="rows holds tables: masks are estimated of images only"):
        with_estimated_masks(rows)


def test_what_files_of_masks_need_is_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="leave them out with --masks estimate"):
        load_dataset(folder, masks="estimate", mask_values=("1",))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "estimate").mkdir()
    with pytest.raises(ValueError, match="one of that name is here: give its whole path"):
        load_dataset(folder, masks="estimate")
    with pytest.raises(ValueError, match="leave them out with --masks estimate-all"):
        load_dataset(folder, masks="estimate-all", mask_values=("1",))
