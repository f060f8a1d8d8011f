from __future__ import annotations

import pytest
import torch

from unconfound.training import TrainingOptions
from unconfound.training.hardware import make_fabric


def test_one_process_without_a_launcher():
    fabric = make_fabric(TrainingOptions(device="cpu", precision="32"), phases=1)
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")
    assert not torch.distributed.is_initialized()


def test_one_gpu_is_not_enough_for_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("unconfound.training.hardware.choose_device", str)
    with pytest.raises(ValueError, match="device 'cuda:1' is one GPU for 2 processes: use cuda"):
        make_fabric(TrainingOptions(device="cuda:1"), phases=1)
