"""Why weights do not fit a network: the first names that tell, and the likely cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

SHOWN = 5


def check_weights(
    found: Mapping[str, Tensor], own: Mapping[str, Tensor], *, source: object, left_out: Sequence[str] = ()
) -> None:
    """Refuse weights that are not those of a network.

    Args:
        found: the weights by their names.
        own: those of the network, which they are to replace.
        source: where they come from, for the error.
        left_out: layers that `found` may hold and the network does not.

    Raises:
        ValueError: names are missing, unknown, or of another shape; in one line, the first five and the likely cause.
    """
    # How many batches a BatchNorm has seen is of no use, and old files lack it.
    missing = [name for name in own if name not in found and not name.endswith("num_batches_tracked")]
    other = [name for name in found if name not in own and name.rsplit(".", 1)[0] not in left_out]
    other = [name for name in other if not name.endswith("num_batches_tracked")]
    parts = [f"lacks {_listed(missing)}"] if missing else []
    parts += [f"holds, as the network does not, {_listed(other)}"] if other else []
    if parts:
        raise ValueError(f"{source} {' and '.join(parts)}: {_cause(found, own, missing, other)}")
    reshaped = [name for name in own if name in found and found[name].shape != own[name].shape]
    if reshaped:
        shapes = [f"{tuple(found[name].shape)} in {source} and {tuple(own[name].shape)} here" for name in reshaped[:1]]
        rest = f" (so do {_listed(reshaped[1:])})" if reshaped[1:] else ""
        raise ValueError(f"{reshaped[0]} has the shape {shapes[0]}{rest}: {_sizes(found, own, reshaped)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _cause(found: Mapping[str, Tensor], own: Mapping[str, Tensor], missing: Sequence[str], other: Sequence[str]) -> str:
    """Name the likely cause where names differ."""
    for longer, shorter, told in (
        (
            other,
            missing,
            "names there begin with {!r}: take that off, or give the run folder where the file is of a run",
        ),
        (missing, other, "names there lack the beginning {!r}: they are those of a network inside of this one"),
    ):
        prefix = _prefix(longer, shorter)
        if prefix:
            return told.format(prefix)
    if own.keys().isdisjoint(found):
        return "these are the weights of a network of another kind: give the weights of this network"
    if _numbers(other) and not missing:
        return "the file is of a deeper network, or one with more in it: give the weights of this network"
    if _numbers(missing) and not other:
        return "the file is of a shallower network, or one with less in it: give the weights of this network"
    return "give the weights of this network"


def _prefix(longer: Sequence[str], shorter: Sequence[str]) -> str:
    """Return what most of the longer names begin with where the rest is one of the shorter names."""
    counts: dict[str, int] = {}
    known = set(shorter)
    for name in longer:
        ends = (place + 1 for place, letter in enumerate(name) if letter == ".")
        end = next((end for end in ends if name[end:] in known), 0)
        if end:
            counts[name[:end]] = counts.get(name[:end], 0) + 1
    best = max(counts, key=lambda prefix: counts[prefix], default="")
    return best if best and counts[best] > len(longer) / 2 else ""


def _numbers(names: Sequence[str]) -> bool:
    """Say whether names are of numbered layers, as blocks are."""
    return len(names) > 1 and all(any(part.isdigit() for part in name.split(".")) for name in names)


def _sizes(found: Mapping[str, Tensor], own: Mapping[str, Tensor], reshaped: Sequence[str]) -> str:
    """Name the likely cause where shapes differ."""
    first = reshaped[0]
    before, here = found[first].shape, own[first].shape
    if any("pos_embed" in name for name in reshaped):
        return "these are the weights for images of another size: give images of that size"
    if len(before) == len(here) == 4 and before[1] != here[1] and before[0] == here[0] and len(reshaped) == 1:
        return f"the images have {here[1]} channels, the weights are for {before[1]}: give images of {before[1]}"
    if len(before) == len(here) == 4 and before[2:] != here[2:] and len(reshaped) == 1:
        return (
            "a first layer of another size is for images of another size: give images of the size of the weights "
            "(--image-size)"
        )
    return (
        "the network is of another width or kind, or the samples are of another size: give the weights of this network"
    )
