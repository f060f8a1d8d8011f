from __future__ import annotations

import pytest
import torch

from unconfound.training import TrainingOptions
from unconfound.training.hardware import choose_device, choose_precision, make_fabric


def test_the_best_device_that_is_here_is_chosen():
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto") == expected
    assert choose_device("cpu") == "cpu"
    with pytest.raises(ValueError, match=r"device 'gpu' is not available here: use auto or cpu"):
        choose_device("gpu")


@pytest.mark.parametrize(("gains", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_bfloat16_only_where_the_hardware_gains(gains, expected, monkeypatch):
    monkeypatch.setattr("unconfound.training.hardware._has_amx", lambda: gains)
    assert choose_precision("auto", "cpu") == expected
    assert choose_precision("32", "cpu") == "32-true"
    assert choose_precision("bf16", "cpu") == "bf16-mixed"
    assert choose_precision("16", "cuda") == "16-mixed"


def test_one_process_without_a_launcher():
    fabric = make_fabric(TrainingOptions(device="cpu", precision="32"), phases=1)
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")
    assert not torch.distributed.is_initialized()
