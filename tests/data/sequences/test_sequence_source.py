from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unconfound.data import Schema
from unconfound.data.core.subset import Subset
from unconfound.data.sequences.sequence_source import SequenceSource

TEXT, SERIES = Schema("text", (90,), ("a", "b"), ("x", "y")), Schema("series", (3,))


def text_source(lengths=(2, 5, 1, 3), **others):
    lengths = torch.tensor(lengths)
    return SequenceSource("texts", TEXT, torch.arange(int(lengths.sum())) + 2, lengths, **others)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=9),
    st.lists(st.integers(0, 1000), min_size=1, max_size=9),
    st.booleans(),
)
def test_a_batch_is_what_padding_one_sequence_after_the_other_gives(lengths, chosen, tokens):
    total = sum(lengths)
    values = torch.arange(total) + 2 if tokens else torch.arange(3.0 * total).view(total, 3) + 1
    source = SequenceSource("toys", TEXT if tokens else SERIES, values, torch.tensor(lengths))
    index = torch.tensor([place % len(lengths) for place in chosen])
    (batch,) = source.batches([index])
    parts = values.split(lengths)
    expected = torch.nn.utils.rnn.pad_sequence([parts[place] for place in index.tolist()], batch_first=True)
    assert batch.inputs.values.equal(expected)
    assert batch.inputs.values.dtype == values.dtype
    assert batch.inputs.lengths.tolist() == [lengths[place] for place in index.tolist()]
    assert batch.index.equal(index)
    assert batch.labels is None
    assert batch.groups is None


def test_labels_groups_and_names_follow_their_sequences():
    source = text_source(
        labels=torch.tensor([0, 1, -1, 1]),
        groups=torch.tensor([1, 1, 0, 0]),
        names=["p", "q", "r", "s"],
        texts=["one", "two", "three", "four"],
        notes=["said"],
    )
    assert len(source) == 4
    first, second = source.batches([torch.tensor([3, 1]), torch.tensor([2])])
    assert first.labels.tolist() == [1, 1]
    assert first.groups.tolist() == [0, 1]
    assert second.labels.tolist() == [-1]
    assert second.inputs.values.shape == (1, 1)
    part = Subset(source, torch.tensor([2, 0]))
    assert part.names == ["r", "p"]
    assert part.texts == ["three", "one"]
    (batch,) = part.batches([torch.tensor([1])])
    assert batch.inputs.values.tolist() == [[2, 3]]


def test_statistics_are_those_of_the_values_without_padding():
    values = torch.randn(11, 3, dtype=torch.float64)
    mean, deviation = SequenceSource("toys", SERIES, values.float(), torch.tensor([4, 1, 6])).statistics()
    torch.testing.assert_close(mean, values.mean(0).float())
    torch.testing.assert_close(deviation, values.std(0, correction=0).float())
    assert [len(each) for each in text_source().statistics()] == [0, 0]


@pytest.mark.parametrize(
    ("values", "lengths", "names", "message"),
    [
        (torch.arange(6), [2, 3], None, "toys: the lengths sum up to 5, but there are 6 values"),
        (torch.arange(5), [2, 0, 3], None, "toys: sequence 1 is empty: leave it out"),
        (torch.arange(5), [2, 0, 3], ["a", "b", "c"], r"toys: sequence 1 \(b\) is empty"),
        (torch.arange(5), [6, -1], None, "toys: sequence 1 is empty"),
        (torch.tensor([0, 1, torch.nan, 2]), [1, 1, 2], None, "toys: sequence 2 holds NaN or infinity: fill the gaps"),
        (torch.tensor([0, 1, 2, -torch.inf]), [1, 2, 1], None, "toys: sequence 2 holds NaN or infinity"),
        (torch.tensor([torch.inf, 1]), [1, 1], ["a", "b"], r"toys: sequence 0 \(a\) holds NaN .* by lengths where it"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(values, lengths, names, message):
    values = values[:, None] if values.is_floating_point() else values
    with pytest.raises(ValueError, match=message) as raised:
        SequenceSource("toys", SERIES, values, torch.tensor(lengths), names=names)
    assert "\n" not in str(raised.value)
