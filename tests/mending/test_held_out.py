from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.toy import confounded, masked, masked_data, read_background, read_foreground

from unconfound.data import MemorySource, Schema
from unconfound.mending.held_out import divided, exchangeable


def test_a_fifth_of_each_class_is_held_out_on_other_backgrounds():
    source = masked_data()
    parts = divided(source, seed=3)
    same, rand = parts.held_out["mixed-same"], parts.held_out["mixed-rand"]
    assert (len(parts.fitted), len(same), len(rand)) == (240, 60, 60)
    assert torch.equal(same.labels.bincount(), torch.tensor([20, 20, 20]))
    assert torch.equal(read_foreground(same.inputs), read_foreground(rand.inputs))
    agreeing = [(read_background(each.inputs).argmax(1) == each.labels).float().mean() for each in (same, rand)]
    assert agreeing[0] > 0.75
    assert agreeing[1] < 0.6
    again, other = divided(source, seed=3), divided(source, seed=4)
    assert torch.equal(again.held_out["mixed-rand"].inputs, rand.inputs)
    assert torch.equal(again.fitted.inputs, parts.fitted.inputs)
    assert not torch.equal(other.fitted.inputs, parts.fitted.inputs)


def test_of_a_class_with_few_images_two_or_none_are_held_out():
    source = masked_data().train
    kept = torch.cat([(source.labels == label).nonzero().flatten()[:count] for label, count in enumerate((1, 4, 30))])
    few = replace(source, inputs=source.inputs[kept], labels=source.labels[kept], masks=source.masks[kept], groups=None)
    parts = divided(replace(masked_data(), labelled=few), seed=0)
    assert parts.held_out["mixed-same"].labels.bincount().tolist() == [0, 2, 6]
    assert parts.fitted.labels.bincount().tolist() == [1, 2, 24]


def test_too_few_images_are_refused():
    source = masked_data().train
    tiny = replace(source, inputs=source.inputs[:9], labels=source.labels[:9], masks=source.masks[:9], groups=None)
    with pytest.raises(ValueError, match="no class of train has four images with a foreground and a background"):
        divided(replace(masked_data(), labelled=tiny), seed=0)
    with pytest.raises(ValueError, match="all 300 images of train are of one class: mend needs two or more"):
        divided(replace(masked_data(), labelled=replace(source, labels=torch.zeros(300).long())), seed=0)


def test_a_validation_part_with_masks_is_held_out_instead():
    dataset = masked_data()
    other = masked(confounded(60, seed=1).train)
    parts = divided(replace(dataset, validation=other), seed=0)
    assert parts.fitted is dataset.train
    assert torch.equal(read_foreground(parts.held_out["mixed-same"].inputs), read_foreground(other.inputs))
    bare = divided(replace(dataset, validation=confounded(60, seed=1).train), seed=0)
    assert len(bare.fitted) == 240


def test_images_without_foreground_or_background_are_left_out():
    dataset = masked_data()
    masks = dataset.train.masks.clone()
    masks[:3], masks[3:5] = False, True
    found = exchangeable(replace(dataset, labelled=replace(dataset.train, masks=masks)))
    assert torch.equal(found.inputs, dataset.train.inputs[5:])
    assert torch.equal(found.labels, dataset.train.labels[5:])
    masks[:100], masks[100:] = False, True
    with pytest.raises(ValueError, match="of the 300 masks of train 100 are empty and all others full"):
        exchangeable(replace(dataset, labelled=replace(dataset.train, masks=masks)))


def _of_rows(dataset):
    source = MemorySource("rows", Schema("tables", (2,), ("a", "b")), torch.zeros(4, 2), torch.zeros(4).long())
    return replace(dataset, train=source, labelled=source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_of_rows, "rows holds tables without a nuisance to exchange: name columns with --nuisance"),
        (lambda data: replace(data, labelled=None), "train has no labels"),
        (
            lambda data: replace(data, labelled=replace(data.train, masks=None)),
            "no masks in memory.*give --masks.*or --masks estimate",
        ),
        (
            lambda data: replace(data, labelled=replace(data.train, masks=None), mask_note="useless"),
            r"no masks in memory, by which mend exchanges backgrounds \(useless\): give --masks with a folder",
        ),
        (lambda data: replace(data, tests={"test": data.train}), "no test sets with exchanged backgrounds"),
        (
            lambda data: replace(
                data,
                tests={"test": data.train},
                train=replace(data.train, notes=("no backgrounds are swapped: one image",)),
            ),
            r"no test sets with exchanged backgrounds \(no backgrounds are swapped: one image\)",
        ),
        (
            lambda data: replace(data, train=replace(data.train, schema=Schema("images", (3, 8, 8), ("other",)))),
            "of classes that are not trained on",
        ),
    ],
)
def test_data_on_which_nothing_can_be_exchanged_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        exchangeable(change(masked_data()))
