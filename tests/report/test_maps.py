import torch

from unconfound.data import MemorySource, Schema
from unconfound.evaluation.embeddings import Embeddings
from unconfound.report.maps import colourings


def coloured(labels=None, groups=None, *, classes=(), named=()):
    count = len(labels if labels is not None else groups)
    tensors = [None if values is None else torch.tensor(values) for values in (labels, groups)]
    source = MemorySource("s", Schema("tables", (2,), classes, named), torch.zeros(count, 2), *tensors)
    return colourings(source, Embeddings(torch.zeros(count, 2), torch.arange(count), *tensors))


def test_classes_beyond_the_palette_share_grey_and_the_frequent_keep_colours():
    labels = [*range(15), 14, 14]
    (by_class,) = coloured(labels, classes=tuple(f"c{i:02}" for i in range(15)))
    assert len(by_class.names) == 10
    assert by_class.rest == 5
    assert "c14" in by_class.names
    assert [by_class.names[colour] if colour >= 0 else None for colour in by_class.of[[0, 14, 16]]] == [
        "c00",
        "c14",
        "c14",
    ]


def test_a_group_of_class_and_attribute_is_coloured_by_its_attribute():
    named = ("3, own scene", "3, other scene", "4, own scene", "4, other scene")
    by_class, by_scene = coloured([0, 0, 1, 1], [0, 1, 2, 3], classes=("3", "4"), named=named)
    assert by_class.title == "class"
    assert by_scene.title == "scene"
    assert by_scene.names == ("other scene", "own scene")
    assert by_scene.of.tolist() == [1, 0, 1, 0]
    (by_sex,) = coloured(groups=[0, 1], named=("rich, sex=f", "rich, sex=m"))
    assert by_sex.title == "sex"


def test_plain_groups_keep_their_names_and_unknown_ones_are_grey():
    (by_group,) = coloured(groups=[0, 1, -1], named=("north", "south"))
    assert by_group.title == "group"
    assert by_group.of.tolist() == [0, 1, -1]
    assert coloured(groups=[-1, -1]) == []
