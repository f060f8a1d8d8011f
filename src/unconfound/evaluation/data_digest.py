"""A checksum by which data are known again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from unconfound.data import Source

# So many evenly spaced samples of each split are looked at.
LOOKED_AT = 64


def data_digest(sources: Mapping[str, Source]) -> str:
    """Return a SHA-256 of splits: of the names, labels and groups of all samples, and of the inputs of some.

    Other data are told apart by it wherever they differ in more than a few values; not every sample is read.

    Args:
        sources: by split.
    """
    digest = hashlib.sha256()
    for split, source in sources.items():
        digest.update(f"{split}\0{len(source)}\0{source.schema}\0".encode())
        for codes in (source.labels, source.groups):
            digest.update(b"none" if codes is None else codes.numpy().tobytes())
        for name in source.names or ():
            digest.update(f"{name}\0".encode("utf-8", errors="surrogateescape"))
        index = torch.arange(0, len(source), max(1, -(-len(source) // LOOKED_AT)))
        for batch in source.batches([index]):
            inputs = batch.inputs
            for values in [inputs] if isinstance(inputs, Tensor) else vars(inputs).values():
                digest.update(f"{values.dtype}\0{tuple(values.shape)}\0".encode())
                digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()
