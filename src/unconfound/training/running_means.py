"""Losses and scalars since the last row of metrics, summed on the device so that no step waits for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from unconfound.methods import Step


class RunningMeans:
    """Means by phase, the first step whose loss was no number, and the latest embeddings (at most 512)."""

    def __init__(self, device: torch.device) -> None:
        self.sums: dict[str, dict[str, Tensor]] = {}
        self.counts: dict[str, int] = {}
        self.rates: dict[str, float] = {}
        self.loss = torch.zeros((), device=device)
        self.embeddings: Tensor | None = None
        self.bad = torch.full((), torch.inf, device=device)

    def add(self, phase: str, result: Step, *, step: int, rate: float) -> None:
        """Count one batch of a phase."""
        self.loss = result.loss.detach()
        self.bad = torch.where(torch.isfinite(self.loss), self.bad, self.bad.clamp(max=step))
        sums = self.sums.setdefault(phase, {})
        for name, value in {"loss": self.loss, **result.scalars}.items():
            sums[name] = sums[name] + value if name in sums else value.clone()
        self.counts[phase] = self.counts.get(phase, 0) + 1
        self.rates[phase] = rate
        if result.embeddings is not None:
            self.embeddings = result.embeddings[:512]

    def last_loss(self) -> float:
        """Return the latest loss; waits for the device."""
        return float(self.loss)

    def first_bad_step(self) -> int | None:
        """Return the first step whose loss was NaN or infinite, or None; waits for the device."""
        bad = float(self.bad)
        return None if math.isinf(bad) else int(bad)

    def content(self) -> dict[str, Any]:
        """Return what the next rows are made of, as tensors and plain values."""
        return {"sums": self.sums, "counts": self.counts, "rates": self.rates}

    def load(self, content: dict[str, Any]) -> None:
        """Take over what `content` returned."""
        device = self.loss.device
        self.sums = {
            phase: {name: value.to(device) for name, value in sums.items()} for phase, sums in content["sums"].items()
        }
        self.counts, self.rates = dict(content["counts"]), dict(content["rates"])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row of means for each phase and start anew."""
        for phase, sums in self.sums.items():
            means = {name: round(float(value) / self.counts[phase], 6) for name, value in sums.items()}
            yield {"phase": phase, "learning_rate": self.rates[phase], **means}
        self.sums, self.counts = {}, {}
