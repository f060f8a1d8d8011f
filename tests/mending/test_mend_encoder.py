from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mending.toy import read_rows, row_data
from unconfound.mending.fine_tuned import FineTuning
from unconfound.mending.mend import MendingOptions
from unconfound.mending.mend_encoder import Mending, check_mending, mend_encoder
from unconfound.mending.saved_remedy import load_remedy
from unconfound.options.embedding import EmbeddingOptions


@pytest.fixture
def mending(tmp_path):
    """A function that is mended by a new classifier, for the rows of `row_data`."""
    return Mending(
        encoder="read_rows",
        function=read_rows,
        data={},
        ways=("refit",),
        gap=1.0,
        out=tmp_path / "new",
        options=MendingOptions(embedding=EmbeddingOptions(device="cpu")),
    )


def test_of_a_function_a_remedy_is_written(mending):
    check_mending(mending)
    mended = mend_encoder(mending, row_data())
    assert (mended.run, mended.way, mended.reached, mended.rebuilt) == (mending.out, "refit", True, False)
    assert mended.nuisance == "the column site"
    rows = torch.tensor([[1.0, -1], [-1, 1]])
    # The sign tells the class, whatever the site.
    assert load_remedy(mending.out).logits(read_rows(rows)).argmax(1).tolist() == [1, 0]


@pytest.mark.parametrize("way", [{"function": read_rows}, {"function": None, "encoder": "encoder.onnx"}])
def test_what_is_no_module_cannot_be_trained(mending, way):
    given = replace(mending, tuning=FineTuning(epochs=1, learning_rate=0.1), **way)
    with pytest.raises(ValueError, match=f"{given.encoder} cannot be trained: fine-tune takes a run folder"):
        check_mending(given)


def test_a_folder_in_use_is_refused_before_the_data_are_read(mending):
    mending.out.mkdir()
    (mending.out / "mine.txt").touch()
    with pytest.raises(ValueError, match="new holds files but no remedy"):
        check_mending(replace(mending, overwrite=True))
    with pytest.raises(ValueError, match="new holds files but no run"):
        check_mending(replace(mending, function=None, encoder="convnet", overwrite=True))
    with pytest.raises(FileNotFoundError, match=r"nowhere holds no encoder\.json"):
        check_mending(
            replace(mending, function=None, encoder="nowhere", run_config={"method": "random"}, out=mending.out / "b")
        )
