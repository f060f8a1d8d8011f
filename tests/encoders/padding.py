"""Sequences, and the same ones padded further with whatever may stand there."""

from __future__ import annotations

import torch

from unconfound.data import Schema, Sequences
from unconfound.encoders import build_encoder

CHANNELS = {"text": 30, "series": 3}


def encoder_for(name, modality, *, seed=0, **sizes):
    torch.manual_seed(seed)
    channels = CHANNELS[modality]
    series = {"mean": torch.tensor([1.0, -2.0, 0.5]), "deviation": torch.tensor([2.0, 1.0, 0.3])}
    given = series if modality == "series" else {}
    return build_encoder(name, Schema(modality, (channels,)), **{"width": 16, "depth": 2, **sizes}, **given)


def sequences_of(modality, lengths=(3, 9, 1, 5), *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths)
    if modality == "text":
        values = torch.randint(1, CHANNELS["text"], shape, generator=generator)
    else:
        values = torch.randn(*shape, CHANNELS["series"], generator=generator)
    sequences = Sequences(values, torch.tensor(lengths))
    hidden = ~sequences.mask()
    return Sequences(values.masked_fill(hidden if modality == "text" else hidden[..., None], 0), sequences.lengths)


def padded_with(sequences, filling, *, by):
    """The same sequences, `by` times longer, with the filling where they are padded."""
    values = sequences.values
    longer = torch.cat([values, values.new_zeros(values.shape[0], by, *values.shape[2:])], 1)
    mask = Sequences(longer, sequences.lengths).mask()
    longer[~mask] = torch.tensor(filling).to(values.dtype)
    return Sequences(longer, sequences.lengths)


FILLINGS = {"text": (0, 7, -1, 10**6), "series": (0.0, 3.0, 1e30, float("nan"), float("inf"))}
CASES = [(modality, filling) for modality, fillings in FILLINGS.items() for filling in fillings]
