from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from unconfound.data import Dataset, MemorySource, Schema
from unconfound.data.compose.exchanged import (
    ExchangedSource,
    exchanged_tests,
    with_exchanged_nuisance,
    with_exchanged_tests,
    with_nuisance_of,
)
from unconfound.data.core.batch import Sequences
from unconfound.data.core.nuisance import Nuisance
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource
from unconfound.data.tables.nuisance_columns import NuisanceColumns

COLUMNS = NuisanceColumns("the column b", torch.tensor([False, True, True]))


def rows(count: int = 40, classes: int = 2) -> MemorySource:
    """Row n holds n in every feature, so that each feature names the row that it comes from."""
    names = tuple("abcdef"[:classes])
    inputs = torch.arange(count).float()[:, None].expand(-1, 3).contiguous()
    labels = torch.arange(count) % classes
    return MemorySource("rows", Schema("tables", (3,), names), inputs, labels, nuisance=COLUMNS)


def inputs_of(source):
    return next(iter(source.batches([torch.arange(len(source))]))).inputs


def test_rows_keep_all_but_the_nuisance_which_comes_from_their_class_or_from_any():
    source, itself = rows(), torch.arange(40)
    tests = exchanged_tests(source, seed=1)
    assert list(tests) == ["original", "mixed-same", "mixed-rand"]
    assert inputs_of(tests["original"]).equal(source.inputs)
    for name in ("mixed-same", "mixed-rand"):
        found = inputs_of(tests[name])
        assert found[:, 0].equal(itself.float())
        # Both features of the column come from one row, which is another one.
        assert found[:, 1].equal(found[:, 2])
        assert (found[:, 1] != itself).all()
        assert tests[name].labels.equal(source.labels)
        assert tests[name].name == f"rows, {name}"
        assert inputs_of(tests[name]).equal(found)
    same = inputs_of(tests["mixed-same"])[:, 1].long()
    assert source.labels[same].equal(source.labels)
    other = inputs_of(exchanged_tests(source, seed=2)["mixed-rand"])
    assert not other.equal(inputs_of(tests["mixed-rand"]))


def test_random_nuisances_come_from_every_class_alike():
    source = replace(rows(2000), labels=(torch.arange(2000) < 100).long())
    given = inputs_of(exchanged_tests(source)["mixed-rand"])[:, 1].long()
    assert 0.45 < source.labels[given].double().mean() < 0.55


def test_a_batch_in_another_order_has_the_same_rows():
    source = exchanged_tests(rows())["mixed-rand"]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    found = torch.cat([batch.inputs for batch in source.batches(order.split(7))])
    assert found.equal(inputs_of(source)[order])
    assert inputs_of(Subset(source, order)).equal(found)


def test_every_row_gives_its_nuisance_once_and_keeps_none():
    source = rows()
    found, givers = with_exchanged_nuisance(source, generator=torch.Generator().manual_seed(0))
    assert givers.sort().values.equal(torch.arange(40))
    assert (givers != torch.arange(40)).all()
    assert inputs_of(found)[:, 1].long().equal(givers)
    again, _ = with_exchanged_nuisance(source, generator=torch.Generator().manual_seed(0))
    assert inputs_of(again).equal(inputs_of(found))


def test_a_row_that_gives_to_itself_stays_as_it_is():
    source = rows(4)
    batch = next(iter(source.batches([torch.arange(4)])))
    found = with_nuisance_of(batch, source, torch.tensor([0, 2, 2, 1]), torch.zeros(4)).inputs
    assert found[:, 1].tolist() == [0, 2, 2, 1]


@dataclass(frozen=True)
class Louder(Nuisance):
    """Adds the first value of the giver, and what was drawn."""

    words: str = "loudness"

    def exchanged(self, inputs, givers, draws):
        return Sequences(inputs.values + givers.values[:, :1] + draws[:, None, None], inputs.lengths)


def test_sequences_are_exchanged_at_their_own_lengths():
    lengths = torch.tensor([2, 3, 1])
    source = SequenceSource("s", Schema("series", (1,)), torch.arange(6.0)[:, None], lengths, nuisance=Louder())
    batch = next(iter(source.batches([torch.arange(3)])))
    found = with_nuisance_of(batch, source, torch.tensor([1, 1, 0]), torch.tensor([0.5, 0.5, 0.25])).inputs
    assert found.lengths.equal(lengths)
    assert found.values[0, :2, 0].tolist() == [2.5, 3.5]
    assert found.values[1, :, 0].tolist() == [2, 3, 4]
    assert found.values[2, 0, 0] == 5.25


def test_what_cannot_be_exchanged():
    with pytest.raises(ValueError, match="rows has no nuisance to exchange: name one, as --nuisance does for tables"):
        ExchangedSource(replace(rows(), nuisance=None), torch.arange(40), torch.zeros(40), name="x")
    with pytest.raises(ValueError, match="the class 'b' has one sample: mixed-same needs two or more"):
        exchanged_tests(replace(rows(), labels=(torch.arange(40) == 3).long()))
    with pytest.raises(ValueError, match="rows has samples without a label"):
        exchanged_tests(replace(rows(), labels=torch.full((40,), -1)))


def test_data_sets_get_these_tests_where_there_are_labels_and_a_nuisance():
    source = rows()
    dataset = Dataset(train=source, tests={"test": source}, labelled=source)
    assert list(with_exchanged_tests(dataset).tests) == ["original", "mixed-same", "mixed-rand"]
    for as_it_is in (
        replace(dataset, train=replace(source, nuisance=None)),
        replace(dataset, labelled=None),
        replace(dataset, tests={}),
        replace(dataset, tests={"test": replace(source, labels=None)}),
    ):
        assert with_exchanged_tests(as_it_is) is as_it_is
    lonely = replace(source, labels=(torch.arange(40) == 3).long())
    kept = with_exchanged_tests(Dataset(train=source, tests={"test": lonely}, labelled=source))
    assert list(kept.tests) == ["test"]
    assert source.notes[-1].startswith("no nuisance is exchanged in testing: the class 'b' has one sample")


def test_only_labelled_test_samples_are_exchanged():
    source = rows()
    half = replace(source, labels=torch.where(torch.arange(40) < 20, source.labels, -1))
    tests = with_exchanged_tests(Dataset(train=source, tests={"test": half}, labelled=source)).tests
    assert {len(test) for test in tests.values()} == {20}
    assert (inputs_of(tests["mixed-rand"]) < 20).all()
