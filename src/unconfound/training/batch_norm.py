"""BatchNorm over the batch of all processes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unconfound.extras import require
from unconfound.functional.distributed import sum_over_processes


def synchronize_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Replace every BatchNorm inside a module, in place, by one whose statistics come from all processes.

    On GPUs that is torch's own SyncBatchNorm (timm's, where layers hold an activation, too), which refuses the CPU;
    there it is `SynchronizedBatchNorm`.
    """
    if device.type != "cpu":
        if any(isinstance(child, _BatchNorm) and hasattr(child, "act") for child in module.modules()):
            require("timm.layers", extra="images").convert_sync_batchnorm(module)
        else:
            nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return
    for child in module.modules():
        for name, norm in child.named_children():
            if isinstance(norm, _BatchNorm) and not isinstance(norm, SynchronizedBatchNorm):
                setattr(child, name, SynchronizedBatchNorm(norm))


class SynchronizedBatchNorm(_BatchNorm):
    """BatchNorm whose mean and variance are those of the whole batch, differentiated exactly through all processes.

    Takes over the parameters and buffers of the BatchNorm it replaces, and what a layer of timm applies after it (drop,
    act). Processes may hold unequal numbers of samples, as nodes of graphs are.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.drop: nn.Module = getattr(norm, "drop", nn.Identity())
        self.act: nn.Module = getattr(norm, "act", nn.Identity())
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"BatchNorm takes [batch, channels, ...], got {input.dim()} dimensions")

    def forward(self, input: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch channels *size"]:
        if not self.training:
            evaluated: Tensor = self.act(self.drop(super().forward(input)))
            return evaluated
        values = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        dimensions = [dimension for dimension in range(values.dim()) if dimension != 1]
        shape = (1, -1) + (1,) * (values.dim() - 2)
        count = sum_over_processes(values.new_tensor(values.numel() // values.shape[1]))
        mean = sum_over_processes(values.sum(dimensions)) / count
        centred = values - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(dimensions)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((variance * count / (count - 1).clamp_min(1)).to(self.running_var.dtype), share)
        normalised = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        output: Tensor = self.act(self.drop(normalised.to(input.dtype)))
        return output
