"""What is known of training samples by which they could be divided: class, scene, group, and how hard they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from unconfound.data import Source
from unconfound.report.maps import attribute_kind
from unconfound.report.pictures import class_name


@dataclass(frozen=True, eq=False)
class Division:
    """One way to divide samples.

    Args:
        title: "class", "scene", "own or other scene", "group", ...
        names: of the parts.
        of: [samples] the part of each; -1 where it is not known.
        background: it says where a sample stands, not what it is.
    """

    title: str
    names: tuple[str, ...]
    of: Int[Tensor, " samples"]
    background: bool = False


def known_divisions(source: Source) -> list[Division]:
    """Return how class, scene and group divide the samples of a source.

    Groups that are named "class, attribute" ("landbird, water") are also divided by their attribute alone. A division
    with a single part, and one that is the same as an earlier one, is left out.
    """
    found = []
    if source.labels is not None:
        found.append(_named("class", [class_name(source, label) for label in source.labels.tolist()], source.labels))
    if source.scenes is not None:
        if source.labels is not None:
            other = (source.scenes != source.labels).long().masked_fill(source.labels < 0, -1)
            found.append(Division("own or other scene", ("own scene", "other scene"), other, background=True))
        names = [f"scene of {class_name(source, scene)}" for scene in source.scenes.tolist()]
        found.append(_named("scene", names, source.scenes, background=True))
    if source.groups is not None:
        known = source.schema.groups
        names = [known[group] if 0 <= group < len(known) else str(group) for group in source.groups.tolist()]
        attributes = ["" if group < 0 else name.partition(", ")[2] for name, group in _pairs(names, source.groups)]
        split = all(attribute or group < 0 for attribute, group in _pairs(attributes, source.groups))
        if split:
            found.append(_named(attribute_kind(attributes), attributes, source.groups, background=True))
        found.append(_named("group", names, source.groups, background=not split))
    return _distinct([division for division in found if len(_present(division.of)) > 1])


def margins(
    embeddings: Float[Tensor, "samples features"],
    labels: Int[Tensor, " samples"],
    proxies: Float[Tensor, "classes *centers features"] | None = None,
) -> Float[Tensor, " samples"]:
    """Return how much nearer each sample is to its own class than to the nearest other one.

    That is the cosine to its class's proxy minus the highest to another's. Without proxies, classes are at the mean of
    their samples' directions; that of its own class leaves the sample itself out.

    Args:
        embeddings: not all zero.
        labels: at least two classes; a class with a single sample and no proxy has the cosine 0 to it.
        proxies: learnt; of several a class, the nearest counts.
    """
    directions = normalize(embeddings.double(), dim=1)
    rows = torch.arange(len(labels))
    if proxies is None:
        classes = int(labels.max()) + 1
        sums = directions.new_zeros(classes, directions.shape[1]).index_add(0, labels, directions)
        own = (directions * normalize(sums[labels] - directions, dim=1)).sum(1)
        # A class without samples is no other one.
        cosines = (directions @ normalize(sums, dim=1).T).masked_fill(labels.bincount() == 0, -torch.inf)
    else:
        cosines = torch.einsum("nf,c...f->nc...", directions, normalize(proxies.double(), dim=-1))
        cosines = cosines.flatten(2).amax(2) if cosines.dim() > 2 else cosines
        own = cosines[rows, labels]
    others = cosines.index_put((rows, labels), cosines.new_tensor(-torch.inf)).amax(1)
    return own - others


def _named(title: str, names: Sequence[str], of: Int[Tensor, " samples"], *, background: bool = False) -> Division:
    """Divide samples by their names, in the order of the numbers that these have; one below 0 is not known."""
    order = list(dict.fromkeys(names[place] for place in of.argsort(stable=True).tolist() if of[place] >= 0))
    numbers = {name: number for number, name in enumerate(order)}
    parts = [-1 if number < 0 else numbers[name] for name, number in _pairs(names, of)]
    return Division(title, tuple(order), torch.tensor(parts), background)


def _pairs(names: Sequence[str], of: Int[Tensor, " samples"]) -> list[tuple[str, int]]:
    return list(zip(names, of.tolist(), strict=True))


def _present(of: Int[Tensor, " samples"]) -> list[int]:
    parts: list[int] = of[of >= 0].unique().tolist()
    return parts


def _distinct(divisions: Sequence[Division]) -> list[Division]:
    """Leave out what divides the samples as an earlier division does, whatever its parts are called."""
    kept: dict[tuple[int, ...], Division] = {}
    for division in divisions:
        numbers: dict[int, int] = {-1: -1}
        form = tuple(numbers.setdefault(part, len(numbers)) for part in division.of.tolist())
        kept.setdefault(form, division)
    return list(kept.values())
