from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.data import MemorySource, Schema
from unconfound.evaluation.partitions import known_partitions, margins


def _source(labels, *, classes=("bird", "fish"), groups=None, names=(), scenes=None):
    schema = Schema("tables", (1,), classes, tuple(names))
    labels = None if labels is None else torch.tensor(labels)
    groups = None if groups is None else torch.tensor(groups)
    scenes = None if scenes is None else torch.tensor(scenes)
    return MemorySource("t", schema, torch.zeros(6, 1), labels, groups, scenes=scenes)


def _shown(source):
    return [(each.title, each.names, each.of.tolist(), each.background) for each in known_partitions(source)]


def test_groups_of_class_and_attribute_are_divided_by_the_attribute_too():
    names = ("bird, water", "bird, land", "fish, water", "fish, land")
    source = _source([0, 0, 1, 1, 0, 1], groups=[0, 1, 2, 3, -1, 3], names=names)
    assert _shown(source) == [
        ("class", ("bird", "fish"), [0, 0, 1, 1, 0, 1], False),
        ("group", ("water", "land"), [0, 1, 0, 1, -1, 1], True),
        ("group", names, [0, 1, 2, 3, -1, 3], False),
    ]


def test_groups_that_name_no_attribute_are_backgrounds_themselves():
    source = _source([0, 0, 1, 1, 0, 1], groups=[1, 0, 1, 0, 1, 0], names=("north", "south"))
    assert _shown(source)[1:] == [("group", ("north", "south"), [1, 0, 1, 0, 1, 0], True)]


def test_scenes_are_own_or_other_and_whose_they_are():
    names = tuple(f"{name}, {which} scene" for name in ("bird", "fish", "newt") for which in ("own", "other"))
    labels, scenes = [0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 0, 2]
    groups = [2 * label + (label != scene) for label, scene in zip(labels, scenes, strict=True)]
    source = _source(labels, classes=("bird", "fish", "newt"), scenes=scenes, groups=groups, names=names)
    shown = _shown(source)
    # The groups' attribute is own or other scene once more.
    assert [title for title, *_ in shown] == ["class", "own or other scene", "scene", "group"]
    assert shown[1][1:] == (("own scene", "other scene"), [0, 0, 0, 1, 1, 0], True)
    assert shown[2][1:] == (("scene of bird", "scene of fish", "scene of newt"), scenes, True)


def test_what_is_the_same_for_all_or_unknown_divides_nothing():
    assert _shown(_source([1] * 6, groups=[0] * 6, names=("all",), scenes=[1] * 6)) == []
    assert _shown(_source(None)) == []
    assert _shown(_source([0, -1, 1, -1, 0, 1]))[0][2] == [0, -1, 1, -1, 0, 1]


def _cosine(first, second):
    length = math.sqrt(sum(a * a for a in first)) * math.sqrt(sum(b * b for b in second))
    return sum(a * b for a, b in zip(first, second, strict=True)) / length if length else 0.0


def _direction(row):
    length = math.sqrt(sum(a * a for a in row))
    return [a / length for a in row]


@given(samples=st.integers(4, 12), classes=st.integers(2, 4), own=st.booleans(), seed=st.integers(0, 99))
def test_margins_compare_the_own_class_with_the_nearest_other(samples, classes, own, seed):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(samples, 3, generator=generator)
    labels = torch.randint(classes, (samples,), generator=generator)
    labels[:2] = torch.tensor([0, classes - 1])
    proxies = torch.randn(classes, 3, generator=generator) if own else None
    found = margins(embeddings, labels, proxies)
    rows = embeddings.double().tolist()
    for place in range(samples):
        cosines = {}
        for label in range(classes):
            members = [
                _direction(rows[other])
                for other in range(samples)
                if int(labels[other]) == label and (label != int(labels[place]) or other != place)
            ]
            centre = proxies[label].double().tolist() if own else [sum(each) for each in zip(*members, strict=True)]
            if own or members or label == int(labels[place]):
                cosines[label] = _cosine(rows[place], centre or [0.0] * 3)
        mine = cosines.pop(int(labels[place]))
        assert float(found[place]) == pytest.approx(mine - max(cosines.values()), abs=1e-6)


def test_of_several_proxies_a_class_the_nearest_counts():
    embeddings, labels, proxies = torch.randn(8, 4), torch.arange(8) % 3, torch.randn(3, 4)
    found = margins(embeddings, labels, torch.stack([proxies, -embeddings[:3], proxies], 1))
    both = torch.cat([proxies, -embeddings[:3]])
    cosines = torch.nn.functional.cosine_similarity(embeddings[:, None], both[None], dim=2)
    nearest = torch.maximum(cosines[:, :3], cosines[:, 3:])
    for place, label in enumerate(labels.tolist()):
        others = [float(nearest[place, other]) for other in range(3) if other != label]
        assert float(found[place]) == pytest.approx(float(nearest[place, label]) - max(others), abs=1e-5)


def test_margins_do_not_hang_on_lengths():
    embeddings, labels = torch.randn(8, 4), torch.arange(8) % 2
    torch.testing.assert_close(margins(embeddings, labels), margins(5 * embeddings, labels))


def test_a_partition_is_the_same_whatever_its_parts_are_called():
    source = _source([0, 0, 1, 1, 0, 1], groups=[1, 1, 0, 0, 1, 0], names=("a", "b"))
    assert [title for title, *_ in _shown(source)] == ["class"]
    assert [title for title, *_ in _shown(replace(source, labels=None))] == ["group"]
