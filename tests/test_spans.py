import pytest

from unconfound.options.data import DataOptions
from unconfound.spans import read_spans


def test_values_and_spans():
    assert read_spans(["3", 5, "7-20", "0.5-1"]) == ((3, 3), (5, 5), (7, 20), (0.5, 1))


@pytest.mark.parametrize("stated", [["a"], ["5-3"], ["-1"], ["1,2"], ["1-"], ["nan"], []])
def test_what_is_no_span_is_refused(stated):
    with pytest.raises(ValueError, match="mask_values are"):
        read_spans(stated)
    with pytest.raises(ValueError, match="mask_values are"):
        DataOptions(mask_values=tuple(stated))
