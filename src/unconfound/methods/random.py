"""No training: the baseline that DACL's paper calls No-Pretraining."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Phase, Step
from unconfound.options.methods.random import RandomOptions


@final
class Random(Method):
    """A randomly initialised encoder that is never trained: what the architecture alone knows."""

    name = "random"
    Options = RandomOptions
    synchronize_batch_norm: ClassVar[bool] = False

    def __init__(self, encoder: Encoder, schema: Schema, options: RandomOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options or RandomOptions()
        self.encoder = encoder

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        raise TypeError("random has no loss: nothing is learnt from a batch")

    def phases(self) -> tuple[Phase, ...]:
        """Nothing moves."""
        return ()

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Let BatchNorm see some batches, the same on every process: its statistics become their means."""
        device = next(self.encoder.parameters()).device
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(epoch))
        training = self.encoder.training
        self.encoder.train()
        norms = [module for module in self.encoder.modules() if isinstance(module, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean, in which the initial 0 and 1 have no share
        with torch.no_grad():
            for batch in source.batches(order.split(256)[: self.options.batches]):
                if len(batch) > 1:
                    self.encoder(batch.inputs.to(device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.encoder.train(training)
