"""Masks by the encoder of a run, which `tests/data` reads without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import unconfound
from unconfound.data import Schema
from unconfound.data.load import load_dataset
from unconfound.encoders import build_encoder, save_encoder
from unconfound.encoders.masks_of_run import masks_by_run


@pytest.fixture
def run(tmp_path):
    """Return a run whose encoder nobody trained."""
    torch.manual_seed(0)
    folder, schema = tmp_path / "run", Schema("images", (3, 16, 16))
    folder.mkdir()
    save_encoder(folder, build_encoder("convnet", schema, width=8).eval(), schema=schema)
    return folder


@pytest.fixture
def images(tmp_path):
    """Write dark images with a bright square each; return their file and the masks."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(40, 1, 16, 16, dtype=torch.bool)
    for sample in range(40):
        top, left = 3 + sample % 5, 3 + sample // 8
        masks[sample, :, top : top + 5, left : left + 5] = True
    pixels = torch.where(masks, 200, torch.randint(20, 40, (40, 3, 16, 16), generator=generator)).to(torch.uint8)
    np.savez(tmp_path / "a.npz", images=pixels.permute(0, 2, 3, 1).numpy(), labels=np.arange(40) % 2)
    return tmp_path / "a.npz", masks


def test_a_run_estimates_the_masks_of_data_without(run, images):
    dataset = unconfound.load(images[0], masks=str(run))
    (batch,) = dataset.train.batches([torch.arange(len(dataset.train))])
    assert torch.equal(batch.masks, masks_by_run(run)(batch.inputs))
    assert "mixed-rand" in dataset.tests
    assert dataset.mask_note.startswith(f"all masks are estimated by the encoder of {run}; estimated masks are usable")
    assert torch.equal(dataset.mask_examples.estimates, masks_by_run(run)(dataset.mask_examples.images))


def test_useless_masks_are_not_trained_on(run, tmp_path):
    np.savez(tmp_path / "plain.npz", images=np.full((40, 16, 16, 3), 9, np.uint8), labels=np.arange(40) % 2)
    dataset = unconfound.load(tmp_path / "plain.npz", masks=run)
    (batch,) = dataset.train.batches([torch.arange(4)])
    assert batch.masks is None
    assert dataset.mask_note.startswith("estimated masks are useless here")


def test_what_cannot_be_is_refused(run, images):
    with pytest.raises(ValueError, match="leave them out with --masks"):
        unconfound.load(images[0], masks=run, mask_values=("1",))
    with pytest.raises(ValueError, match=r"is a run: read the data by unconfound\.load"):
        load_dataset(images[0], masks=run)
    with pytest.raises(ValueError, match="gone is no run, and the demo brings masks of its own: name a run folder, or"):
        unconfound.load("demo", masks=run.parent / "gone")
    folder = run.parent / "other"
    folder.mkdir()
    schema = Schema("tables", (4,))
    save_encoder(folder, build_encoder("mlp", schema, width=4).eval(), schema=schema)
    with pytest.raises(ValueError, match="other is a run of tables: give the run of an encoder of images"):
        unconfound.load(images[0], masks=folder)
