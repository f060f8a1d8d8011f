"""How encoders are evaluated: what travels together from a command to every figure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import device as Device

from unconfound.devices import choose_device, choose_precision


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How encoders are evaluated.

    Args:
        neighbours: training samples that vote in kNN, at least 1.
        seed: of the probe's validation split, or of the folds of a cross-validation.
        folds: of a cross-validation, at least 2.
        repeats: of a cross-validation, each with other folds; only one is made of more than 5,000 samples.
        batch_size: samples per pass through the encoder.
        device: where the encoder runs: "auto" (the best one here), "cpu", "cuda", "cuda:N" or "mps".
        precision: of the encoder: "32", "bf16", "16", or "auto" (bf16 where the hardware gains from it).
    """

    neighbours: int = 5
    seed: int = 0
    folds: int = 10
    repeats: int = 5
    batch_size: int = 512
    device: str | Device = "auto"
    precision: str = "32"

    def resolved(self) -> Judging:
        """Name the device and the precision where "auto" leaves them open.

        Raises:
            ValueError: the device is not here, or the device or the precision is unknown.
        """
        device = choose_device(self.device)
        return replace(self, device=device, precision=choose_precision(self.precision, device))
