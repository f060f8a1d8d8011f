from __future__ import annotations

from dataclasses import replace

import torch
from evaluation.toy import read_background, read_foreground

from mending.toy import masked_data, read_both
from unconfound.mending import exchanged as exchanging
from unconfound.mending.exchanged import embed_exchanged, with_exchanged_backgrounds
from unconfound.options.embedding import EmbeddingOptions

CPU = EmbeddingOptions(device="cpu")


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


def test_embeddings_are_those_of_the_images_as_they_are_and_exchanged():
    source = masked_data().train
    found = embed_exchanged(read_both, source, exchanges=3, seed=1, embedding=CPU)
    assert found.others.shape == (len(source), 3, 9)
    assert torch.equal(found.own, read_both(source.inputs))
    assert torch.equal(found.others[:, :, :3], found.own[:, None, :3].expand(-1, 3, -1))
    # A background has the colour of the class on whose scene its giver stands: nine in ten times the giver's own.
    told = found.others[:, :, 3:6].argmax(2)
    assert 0.8 < (told == found.donors).float().mean() < 1
    assert (told == source.labels[:, None]).float().mean() < 0.5
    again = embed_exchanged(read_both, source, exchanges=3, seed=1, embedding=CPU)
    assert torch.equal(again.others, found.others)
    other = embed_exchanged(read_both, source, exchanges=3, seed=2, embedding=CPU, own=False)
    assert not torch.equal(other.others, found.others)
    assert other.own is None
