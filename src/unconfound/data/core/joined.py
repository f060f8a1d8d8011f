"""Several parts of a data set as one source again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor

from unconfound.data.core.source import MemorySource, Source
from unconfound.data.core.subset import Subset, origin


def joined(sources: Sequence[Source], *, name: str) -> Source | None:
    """Return the samples of all sources.

    Subsets of one source become a subset of it, in its order. Those of several, one after the other, are copied into
    one where they are images or rows of one shape in memory.

    Args:
        sources: one or more.
        name: how logs and reports call the result.

    Returns:
        the source, or None where the sources cannot be joined or only some of them have groups.
    """
    if len(sources) == 1:
        return sources[0]
    if len({source.groups is None for source in sources}) > 1:
        return None
    parts = [origin(source) for source in sources]
    bases = [base for base, _ in parts]
    if all(base is bases[0] for base in bases):
        return Subset(bases[0], torch.cat([positions for _, positions in parts]).sort().values, name=name)
    memory = [base for base in bases if isinstance(base, MemorySource)]
    if len(memory) < len(bases) or len({(base.schema, base.inputs.dtype, base.masks is None) for base in memory}) > 1:
        return None

    def together(of: Callable[[MemorySource], Tensor | None]) -> Tensor | None:
        found = [
            values[positions]
            for base, (_, positions) in zip(memory, parts, strict=True)
            if (values := of(base)) is not None
        ]
        return torch.cat(found) if len(found) == len(memory) else None

    inputs = together(lambda base: base.inputs)
    assert inputs is not None
    names = [source.names for source in sources]
    return MemorySource(
        name=name,
        schema=memory[0].schema,
        inputs=inputs,
        labels=together(lambda base: base.labels),
        groups=together(lambda base: base.groups),
        masks=together(lambda base: base.masks),
        names=None if None in names else list(chain.from_iterable(given for given in names if given is not None)),
        scenes=together(lambda base: base.scenes),
        nuisance=memory[0].nuisance if all(base.nuisance is memory[0].nuisance for base in memory) else None,
    )
