from __future__ import annotations

from dataclasses import replace

import torch

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.core.subset import Subset
from unconfound.data.images.found_masks import FoundMasks, with_found_masks


def _bright(images, masks):
    return images.amax(1, keepdim=True) > 127


def _dataset(images, *, streamed=False):
    whole = MemorySource("whole", Schema("images", (3, 16, 16), ("a",)), images, labels=torch.zeros(40).long())
    source = FoundMasks(whole, lambda images, masks: masks) if streamed else whole
    train, test, validation = (Subset(source, torch.arange(40)[part::3]) for part in range(3))
    return Dataset(train, {"test": test}, labelled=train, validation=validation)


def _batch(source):
    (batch,) = source.batches([torch.arange(len(source))])
    return batch


def test_every_part_gets_the_masks_and_one_source_is_searched_once(squares):
    calls = []

    def found(images, masks):
        calls.append(len(images))
        return _bright(images, masks)

    dataset = with_found_masks(_dataset(squares[0]), found)
    for part in (dataset.train, dataset.tests["test"], dataset.validation):
        batch = _batch(part)
        assert torch.equal(batch.masks, _bright(batch.inputs, None))
    assert dataset.labelled is dataset.train
    assert dataset.train.base is dataset.tests["test"].base
    assert calls == [40]


def test_streamed_images_get_the_same_masks_as_those_in_memory(squares):
    memory, streamed = (with_found_masks(_dataset(squares[0], streamed=each), _bright) for each in (False, True))
    assert torch.equal(_batch(memory.train).masks, _batch(streamed.train).masks)


def test_test_sets_can_stay_as_they_are(squares):
    given = replace(_dataset(squares[0]), labelled=None, validation=None)
    dataset = with_found_masks(given, _bright, tests=False)
    assert dataset.tests["test"] is given.tests["test"]
    assert _batch(dataset.train).masks is not None
    assert (dataset.labelled, dataset.validation) == (None, None)


def test_a_source_with_found_masks_is_its_base_in_all_else(squares):
    base = MemorySource("base", Schema("images", (3, 16, 16), ("a",)), squares[0], labels=torch.zeros(40).long())
    masked = FoundMasks(base, _bright)
    assert (len(masked), masked.name, masked.labels) == (40, "base", base.labels)
