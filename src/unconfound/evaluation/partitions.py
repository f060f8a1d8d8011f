"""Partitions of samples by class, scene, group and difficulty, and how far learnt environments agree with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from unconfound.data import Source
from unconfound.evaluation.agreement import Agreement, adjusted_rand, ranked_higher

UNLABELLED = "no label"
FOLLOWS = 0.2  # of 1: a weaker relation is not called one, however sure it is


@dataclass(frozen=True, eq=False)
class Partition:
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


@dataclass(frozen=True)
class Relation:
    """How the environments go along with something that is known of the samples.

    Args:
        partition: what is known.
        rand: the adjusted Rand index of the two partitions.
        area: of a partition in two: how well the weight in the environment `decisive` tells its second part from its
            first; None of others.
        decisive: the environment in which the second part has the most weight.
    """

    partition: Partition
    rand: Agreement
    area: Agreement | None = None
    decisive: int = 0

    @property
    def strength(self) -> float:
        """How strong it is, from 0 to 1: that of the area where there is one, else the share of the highest index."""
        if self.area is not None:
            return 2 * self.area.value - 1
        return self.rand.value / self.rand.most if self.rand.most > 0 else 0.0

    @property
    def follows(self) -> bool:
        """Whether it is more than chance, and strong enough to speak of."""
        measure = self.area or self.rand
        return measure.value > measure.high and self.strength >= FOLLOWS


def relate(
    partition: Partition, weights: Float[Tensor, "samples environments"], held: Int[Tensor, " samples"]
) -> Relation:
    """Compare environments with one partition of the same samples.

    Args:
        partition: what is known; samples of which it is not are left out.
        weights: of each sample in each environment.
        held: the environment that has most of each one's weight.
    """
    known = partition.of >= 0
    rand = adjusted_rand(held[known], partition.of[known])
    if len(partition.names) != 2:
        return Relation(partition, rand)
    areas = [ranked_higher(own, partition.of[known] == 1) for own in weights[known].unbind(1)]
    decisive = max(range(len(areas)), key=lambda number: areas[number].value)
    return Relation(partition, rand, areas[decisive], decisive)


def known_partitions(source: Source) -> list[Partition]:
    """Return how class, scene and group divide the samples of a source.

    Groups that are named "class, attribute" ("landbird, water") are also divided by their attribute alone. A partition
    with a single part, and one that is the same as an earlier one, is left out.
    """
    found = []
    if source.labels is not None:
        found.append(_named("class", [class_name(source, label) for label in source.labels.tolist()], source.labels))
    if source.scenes is not None:
        if source.labels is not None:
            other = (source.scenes != source.labels).long().masked_fill(source.labels < 0, -1)
            found.append(Partition("own or other scene", ("own scene", "other scene"), other, background=True))
        names = [f"scene of {class_name(source, scene)}" for scene in source.scenes.tolist()]
        found.append(_named("scene", names, source.scenes, background=True))
    if source.groups is not None:
        names = group_names(source, source.groups)
        split = attributes_of(names)
        if split is not None:
            found.append(_named(*split, source.groups, background=True))
        found.append(_named("group", names, source.groups, background=split is None))
    return _distinct([partition for partition in found if len(_present(partition.of)) > 1])


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


def class_name(source: Source, label: int) -> str:
    """Return the name of a class."""
    classes = source.schema.classes
    if label < 0:
        return UNLABELLED
    return classes[label] if label < len(classes) else str(label)


def group_names(source: Source, groups: Int[Tensor, " samples"]) -> list[str]:
    """Return the name of each sample's group; empty where it has none."""
    known = source.schema.groups
    return ["" if group < 0 else known[group] if group < len(known) else str(group) for group in groups.tolist()]


def attributes_of(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Take groups that are named "class, attribute" ("landbird, water") apart.

    Returns:
        What the attributes are of, as `attribute_kind` says it, and that of each name; None if a name has none.
    """
    attributes = [name.partition(", ")[2] for name in names]
    split = all(attribute or not name for name, attribute in zip(names, attributes, strict=True))
    return (attribute_kind(attributes), attributes) if split else None


def attribute_kind(attributes: Sequence[str]) -> str:
    """What the attributes are of: "scene" of "own scene" and "other scene", "sex" of "sex=Female" and "sex=Male"."""
    named = {attribute for attribute in attributes if attribute}
    if len(named) < 2:
        return "group"
    before = {name.partition("=")[0] if "=" in name else "" for name in named}
    last = {name.rsplit(maxsplit=1)[-1] for name in named}
    return next((kind for kinds in (before, last) if len(kinds) == 1 for kind in kinds if kind), "group")


def _named(title: str, names: Sequence[str], of: Int[Tensor, " samples"], *, background: bool = False) -> Partition:
    """Divide samples by their names, in the order of the numbers that these have; one below 0 is not known."""
    order = list(dict.fromkeys(names[place] for place in of.argsort(stable=True).tolist() if of[place] >= 0))
    numbers = {name: number for number, name in enumerate(order)}
    parts = [-1 if number < 0 else numbers[name] for name, number in _pairs(names, of)]
    return Partition(title, tuple(order), torch.tensor(parts), background)


def _pairs(names: Sequence[str], of: Int[Tensor, " samples"]) -> list[tuple[str, int]]:
    return list(zip(names, of.tolist(), strict=True))


def _present(of: Int[Tensor, " samples"]) -> list[int]:
    parts: list[int] = of[of >= 0].unique().tolist()
    return parts


def _distinct(partitions: Sequence[Partition]) -> list[Partition]:
    """Leave out what divides the samples as an earlier partition does, whatever its parts are called."""
    kept: dict[tuple[int, ...], Partition] = {}
    for partition in partitions:
        numbers: dict[int, int] = {-1: -1}
        form = tuple(numbers.setdefault(part, len(numbers)) for part in partition.of.tolist())
        kept.setdefault(form, partition)
    return list(kept.values())
