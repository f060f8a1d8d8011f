from __future__ import annotations

import torch
from evaluation.toy import masked_data

from mending.toy import read_both
from unconfound.mending.exchanged import embed_exchanged
from unconfound.options.embedding import EmbeddingOptions

CPU = EmbeddingOptions(device="cpu")


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
