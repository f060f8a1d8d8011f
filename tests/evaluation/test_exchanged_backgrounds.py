from __future__ import annotations

from dataclasses import replace

import torch

from evaluation.toy import masked_data, read_background, read_foreground
from unconfound.evaluation import exchanged_backgrounds as exchanging
from unconfound.evaluation.exchanged_backgrounds import with_exchanged_backgrounds


def test_each_foreground_stands_on_the_background_of_the_image_that_is_named(monkeypatch):
    monkeypatch.setattr(exchanging, "AT_A_TIME", 7)
    source = masked_data().train
    exchanged, givers = with_exchanged_backgrounds(source, generator=torch.Generator().manual_seed(0))
    assert exchanged.inputs.dtype == torch.uint8
    assert torch.equal(read_foreground(exchanged.inputs), read_foreground(source.inputs))
    assert torch.equal(read_background(exchanged.inputs), read_background(source.inputs)[givers])
    assert torch.equal(givers.sort().values, torch.arange(len(source)))
    assert not (givers == torch.arange(len(source))).any()


def test_images_of_floats_stay_floats():
    source = masked_data().train
    floats = replace(source, inputs=source.inputs / 255)
    exchanged, _ = with_exchanged_backgrounds(floats, generator=torch.Generator().manual_seed(0))
    wanted, _ = with_exchanged_backgrounds(source, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(exchanged.inputs, wanted.inputs / 255)
