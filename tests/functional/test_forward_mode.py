from __future__ import annotations

import contextlib
import io
import warnings

import torch
from torch import nn
from two_processes import run

from unconfound.functional.invariance import scale_gradient
from unconfound.methods.icl_msr.meta_gradient import HostAt
from unconfound.methods.parts.two_views import Compared


class Host(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def compare(self, views):
        rows = self.linear(views)
        return Compared(rows.square().sum(), rows, rows)


def _printed(which: str) -> str:
    """What forward mode prints in a process that never used it."""
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        warnings.simplefilter("always")
        if which == "scale":
            scale_gradient(torch.sum, torch.ones(3))
        else:
            at = HostAt(Host())
            at.change(at.weights(), torch.ones(2, 2), at.weights(), lambda compared: compared.loss)
        torch.func.jvp(torch.sin, (torch.ones(()),), (torch.ones(()),))
        warnings.warn("`torch.jit.script` is deprecated.", FutureWarning, stacklevel=1)
    return printed.getvalue()


def test_two_processes_print_no_warning_but_those_of_others(tmp_path):
    for which in ("scale", "change"):
        (tmp_path / which).mkdir()
        for printed in run(_printed, tmp_path / which, which):
            assert printed.count("Warning: ") == 1, printed
            assert "test_forward_mode.py" in printed
